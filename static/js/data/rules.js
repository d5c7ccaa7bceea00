/** The rules by which templates are filled: the server sends them once, beside all templates, and each template carries them. */

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').FigureRules} FigureRules @typedef {import('../../types').Templates} Templates */

/** @param {Figure} template @param {FigureRules} rules @returns {Figure} */
export function withRules({ data, layout }, rules) {
  return { data, layout: { ...layout, meta: { ...layout.meta, rules } } };
}

/** @param {Templates} templates as they were sent @returns {Templates} */
export function carryRules({ panels, rules, ...rest }) {
  const toView = (/** @type {import('../../types').PanelView} */ view) => ({
    ...view,
    figure: withRules(view.figure, rules),
  });
  return {
    ...rest,
    rules,
    panels: panels.map((panel) => ({
      ...panel,
      figure: withRules(panel.figure, rules),
      views: panel.views.map(toView),
    })),
  };
}
