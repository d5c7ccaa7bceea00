/** Light or dark: as the system says, or as chosen here. Runs before the page is drawn, so that it does not flash. */

(function applyTheme() {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
