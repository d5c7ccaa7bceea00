/** Rules for filling templates: the server sends them once, and the page copies them into each template. */

/** @typedef {import('../../types').Figure} Figure @typedef {import('../../types').FigureRules} FigureRules @typedef {import('../../types').Templates} Templates */

/** Return a template with the rules in its metadata. @param {Figure} template @param {FigureRules} rules @returns {Figure} */
export function withRules({ data, layout }, rules) {
  return { data, layout: { ...layout, meta: { ...layout.meta, rules } } };
}

/** Copy the rules for filling figures into all templates. @param {Templates} templates as received @returns {Templates} */
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
