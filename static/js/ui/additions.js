/** Components that an add-on adds to the page. Its first module adds them, and then imports app.js. */

export const additions = {
  /** Below the top bar, without props. @type {(() => any)[]} */
  banners: [],
  /** After the text of a refusal. @type {((props: {problem: import('../net/api.js').ApiError}) => any)[]} */
  refusals: [],
};
