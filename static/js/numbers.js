/** Numbers as people read them, and the ticks of a logarithmic axis. `app/panels/numbers.py` says the same. */

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';
export const UNKNOWN = '–';

/**
 * A value in four digits, or as m × 10^k where it is very small or large or known by its logarithm alone.
 * @param {number | null} value
 * @param {number | null} [log10]
 * @param {string} [status]
 */
export function formatValue(value, log10 = null, status = undefined) {
  if (value !== null && Number.isFinite(value)) {
    const size = Math.abs(value);
    if (size === 0 || (size >= 1e-3 && size < 1e5)) return strip(value.toFixed(decimals(size, 4)));
    return scientific(value < 0, Math.log10(size));
  }
  if (log10 !== null && Number.isFinite(log10)) return scientific(false, log10);
  return status ?? UNKNOWN;
}

/**
 * Positions (in log10) and labels between 10^low and 10^high: steps, 1-2-5 or decades, by the span.
 * @param {number} low
 * @param {number} high
 * @returns {[number[], string[]]}
 */
export function logTicks(low, high) {
  const span = high - low;
  if (span >= 2) {
    const step = Math.max(1, Math.round(niceStep(span / 6)));
    const decades = range(Math.ceil(low / step), Math.floor(Math.floor(high) / step)).map((index) => index * step);
    return [decades, decades.map(decade)];
  }
  if (span >= 0.7) {
    const places = range(Math.floor(low), Math.floor(high)).flatMap((power) =>
      [1, 2, 5].map((mantissa) => power + Math.log10(mantissa)),
    );
    const inside = places.filter((place) => place >= low && place <= high);
    return [inside, inside.map(scaleText)];
  }
  return evenTicks(low, high);
}

/** @param {number} low @param {number} high @returns {[number[], string[]]} */
function evenTicks(low, high) {
  const base = Math.floor(low);
  const first = 10 ** (low - base);
  const last = 10 ** (high - base);
  const step = niceStep((last - first) / 4);
  const places = range(Math.ceil(first / step), Math.floor(last / step)).map(
    (index) => base + Math.log10(index * step),
  );
  return [places, places.map(scaleText)];
}

/** The least of 1, 2 and 5 times a power of ten that is not below `rough`. @param {number} rough */
export function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const mantissa = [1, 2, 5].find((item) => item * power >= rough * (1 - 1e-9)) ?? 10;
  return mantissa * power;
}

/** @param {number} first @param {number} last, inclusive */
export function range(first, last) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** @param {number} place */
function scaleText(place) {
  return Math.abs(place) < 300 ? formatValue(10 ** place) : formatValue(null, place);
}

/** A power of ten as a tick. @param {number} power */
export function decade(power) {
  if (power === 0 || power === 1) return String(10 ** power);
  return `10<sup>${String(power).replace('-', '−')}</sup>`;
}

/** @param {number} size @param {number} digits */
function decimals(size, digits) {
  return size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
}

/** @param {boolean} negative @param {number} log10 */
function scientific(negative, log10) {
  let exponent = Math.floor(log10);
  let mantissa = (10 ** (log10 - exponent)).toFixed(2);
  if (mantissa === '10.00') [mantissa, exponent] = ['1.00', exponent + 1];
  return `${negative ? '-' : ''}${strip(mantissa)}×10${superscript(exponent)}`;
}

/** @param {number} power */
function superscript(power) {
  return String(power).replace(/./g, (sign) => (sign === '-' ? '⁻' : SUPERSCRIPTS[Number(sign)]));
}

/** @param {string} text */
function strip(text) {
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text;
}

/** Seconds as people say them. @param {number} seconds */
export function formatSeconds(seconds) {
  if (seconds < 0.095) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.5) return `${seconds.toPrecision(2)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** A count with a unit prefix: 2.0 G. @param {number} count @param {string} unit */
export function formatCount(count, unit) {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  const index = count < 1 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(count) / 3));
  const scaled = count / 1000 ** index;
  const text = scaled < 9.95 && index > 0 ? scaled.toFixed(1) : String(Math.round(scaled));
  return `${text} ${prefixes[index]}${unit}`.trim();
}
