/** Applies the chosen theme, or that of the system. Runs before the first paint, so that the page does not flash. */

(function applyTheme() {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
