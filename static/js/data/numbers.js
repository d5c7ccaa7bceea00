/** Formats numbers like `mhc_core/findings/numerals.py`, and computes ticks of logarithmic axes like `mhc_core/figures/numbers.py`. */

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';
export const UNKNOWN = '–';
const MINUS = '−'; // a hyphen is shorter than a plus sign
const STATUS_WORDS = /** @type {Record<string, string>} */ ({ unknown: 'not known' }); // other statuses are shown by name

/**
 * Format a value with so many digits (default 4), or as m × 10^k if it is very small or large or if only its logarithm is known.
 * @param {number | null} value
 * @param {number | null} [log10]
 * @param {string} [status]
 * @param {number} [digits]
 */
export function formatValue(value, log10 = null, status = undefined, digits = 4) {
  if (value !== null && Number.isFinite(value)) {
    const size = Math.abs(value);
    if (size === 0 || (size >= 1e-3 && size < 1e5)) return stripZeros(formatFixed(value, countDecimals(size, digits)));
    return formatScientific(value < 0, Math.log10(size), digits - 2);
  }
  if (log10 !== null && Number.isFinite(log10)) return formatScientific(false, log10, digits - 2);
  return status === undefined ? UNKNOWN : statusText(status);
}

/** Format a value like `formatValue`, but keep the zeros of a rounded number: 1.00 may be 1.003, and 1 is exact in the seven digits of float32. @param {number | null} value @param {number | null} log10 @param {string | undefined} status @param {number} digits */
export function formatRounded(value, log10, status, digits) {
  const text = formatValue(value, log10, status, digits);
  const shown = Number(text.replace(MINUS, '-'));
  return value === null || Number.isNaN(shown) || shown === Number(value.toPrecision(7))
    ? text
    : formatFixed(value, countDecimals(Math.abs(shown), digits));
}

/** Return the text of a status: why there is no number. @param {string} status */
export function statusText(status) {
  return STATUS_WORDS[status] ?? status;
}

/** Keep each number of a sentence and its % sign on one line. @param {string} text */
export const joinPercent = (text) => text.replaceAll(' %', '\u00a0%');

/** Format a value with so many decimals; zero has no sign. @param {number} value @param {number} digits */
export function formatFixed(value, digits) {
  const text = value.toFixed(digits);
  return text.replace('-', Number(text) === 0 ? '' : MINUS);
}

/** Return the largest finite magnitude. Uses a loop because a matrix may have a million entries. @param {ArrayLike<number>} values */
export function largestMagnitude(values) {
  let found = 0;
  for (let index = 0; index < values.length; index++) {
    const size = Math.abs(values[index]);
    if (size > found && size < Infinity) found = size;
  }
  return found;
}

/** Format scaled × 2^exponent like `formatValue`, also outside the range of a double. @param {number} scaled @param {number} exponent */
export function formatScaled(scaled, exponent) {
  if (!Number.isFinite(scaled)) return 'nan';
  if (scaled === 0) return '0';
  const log10 = Math.log10(Math.abs(scaled)) + exponent * Math.log10(2);
  if (log10 < -3 || log10 >= 5) return formatScientific(scaled < 0, log10, 2);
  const value = scaled * 2 ** exponent;
  return stripZeros(formatFixed(value, countDecimals(Math.abs(value), 4)));
}

/** Convert scaled × 2^exponent for CSV files: a number, or `1.5e400` outside the range of a double. @param {number} scaled @param {number} exponent @returns {number | string} */
export function toCsvNumber(scaled, exponent) {
  const log10 = Math.log10(Math.abs(scaled)) + exponent * Math.log10(2);
  if (scaled === 0 || !Number.isFinite(scaled) || Math.abs(log10) < 300)
    return scaled === 0 ? 0 : scaled * 2 ** exponent;
  const power = Math.floor(log10);
  return `${scaled < 0 ? '-' : ''}${(10 ** (log10 - power)).toFixed(6)}e${power}`;
}

/**
 * Compute tick positions (log10) and labels between 10^low and 10^high: decades for a wide span, 1-2-5 for a medium one, even steps for a narrow one.
 * @param {number} low
 * @param {number} high
 * @returns {[number[], string[]]}
 */
export function logTicks(low, high) {
  const span = high - low;
  if (span >= 2) {
    const step = Math.max(1, Math.round(niceStep(span / 6)));
    const decades = inclusiveRange(Math.ceil(low / step), Math.floor(Math.floor(high) / step)).map(
      (index) => index * step,
    );
    return [decades, decades.map(formatDecade)];
  }
  if (span >= 0.7) {
    const places = inclusiveRange(Math.floor(low), Math.floor(high)).flatMap((power) =>
      [1, 2, 5].map((mantissa) => power + Math.log10(mantissa)),
    );
    const inside = places.filter((position) => position >= low && position <= high);
    return [inside, inside.map(scaleText)];
  }
  return evenTicks(low, high);
}

/** Compute evenly spaced ticks within less than a decade. @param {number} low @param {number} high @returns {[number[], string[]]} */
function evenTicks(low, high) {
  const base = Math.floor(low);
  const first = 10 ** (low - base);
  const last = 10 ** (high - base);
  const step = niceStep((last - first) / 4);
  const places = inclusiveRange(Math.ceil(first / step), Math.floor(last / step)).map(
    (index) => base + Math.log10(index * step),
  );
  return [places, places.map(scaleText)];
}

/** Round up to 1, 2 or 5 times a power of ten. @param {number} rough */
export function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const mantissa = [1, 2, 5].find((item) => item * power >= rough * (1 - 1e-9)) ?? 10;
  return mantissa * power;
}

/** List the integers from first to last, both included; empty if last is below first. @param {number} first @param {number} last */
export function inclusiveRange(first, last) {
  const range = []; // filled by a loop, because Array.from takes six times as long, and a move of a slider needs many
  for (let index = 0; first + index <= last; index++) range.push(first + index);
  return range;
}

/** Format a tick at a log10 position. @param {number} position */
function scaleText(position) {
  return Math.abs(position) < 300 ? formatValue(10 ** position) : formatValue(null, position);
}

/** Format a power of ten as a tick label. @param {number} power */
export function formatDecade(power) {
  if (power === 0 || power === 1) return String(10 ** power);
  return `10<sup>${String(power).replace('-', '−')}</sup>`;
}

/** Count the decimals that a number needs to show so many significant digits. @param {number} size @param {number} digits */
function countDecimals(size, digits) {
  return size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
}

/** Format a number as m × 10^k. @param {boolean} negative @param {number} log10 @param {number} digits */
function formatScientific(negative, log10, digits) {
  let exponent = Math.floor(log10);
  let mantissa = (10 ** (log10 - exponent)).toFixed(digits);
  if (Number(mantissa) === 10) [mantissa, exponent] = ['1', exponent + 1];
  return `${negative ? MINUS : ''}${stripZeros(mantissa)}${formatPower(exponent)}`;
}

/** Format a power of ten as a factor. @param {number} power */
export function formatPower(power) {
  return `×10${toSuperscript(power)}`;
}

/** Format an integer exponent in superscript. @param {number} power */
export function toSuperscript(power) {
  return String(power).replace(/./g, (sign) => (sign === '-' ? '⁻' : SUPERSCRIPTS[Number(sign)]));
}

/** Remove trailing zeros of a formatted number after its decimal point. @param {string} text */
function stripZeros(text) {
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text;
}

/** Format seconds as ms, s or min. @param {number} seconds */
export function formatSeconds(seconds) {
  if (seconds < 0.095) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.5) return `${seconds.toPrecision(2)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** Format a range of seconds: 1.2 to 1.9 s. @param {number} low @param {number} high */
export function formatSecondsRange(low, high) {
  const [least, most] = [formatSeconds(low), formatSeconds(high)];
  if (least === most) return most;
  const [value, unit] = least.split(' ');
  return `${most.endsWith(` ${unit}`) ? value : least} to ${most}`;
}

/** Format a count with a unit prefix: 2.0 G. @param {number} count @param {string} unit */
export function formatCount(count, unit) {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  const index = count < 1 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(count) / 3));
  const scaled = count / 1000 ** index;
  const text = scaled < 9.95 && index > 0 ? scaled.toFixed(1) : String(Math.round(scaled));
  return `${text} ${prefixes[index]}${unit}`.trim();
}
