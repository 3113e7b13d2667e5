// Policies as text: comments quiet, the rule that admits marked and scrolled to.
const fileOf = (policy) => `${policy.namespace ? `${policy.namespace}-` : ''}${policy.name}.yaml`;

function policyFigure(place, rules = [], policies = view.policies) {
  const policy = policies[place];
  const spans = rules.map((rule) => policy.rules[rule]);
  const lines = policy.text.replace(/\n$/, '').split('\n').map((text, at) => {
    const admits = spans.some((span) => at >= span.first && at <= span.last);
    const remark = /^\s*#/.test(text);
    return el('span', { class: `line${admits ? ' admits' : ''}${remark ? ' remark' : ''}` }, text || ' ');
  });
  const pre = el('pre', { tabindex: 0, role: 'region', 'aria-label': `YAML of ${short(policy.name)}` }, lines);
  const where = spans.map((span) => span.path).join(', ');
  const figure = el('figure', {},
    el('figcaption', {}, el('bdi', {}, `${policy.origin}: ${policy.namespace ? `${policy.namespace}/` : ''}${policy.name}`),
      button('Copy', (event) => copy(policy.text, event.target)), button('Download', () => download(fileOf(policy), policy.text)),
      where ? el('span', { class: 'quiet' }, where) : ''),
    pre);
  requestAnimationFrame(() => {
    const first = pre.querySelector('.admits');
    if (first) pre.scrollTop = Math.max(0, first.offsetTop - 30);
  });
  return figure;
}

// Several rules of one policy are one figure.
function ruleFigures(refs, policies = view.policies) {
  const rules = new Map();
  for (const [policy, rule] of refs) rules.set(policy, [...(rules.get(policy) || []), rule]);
  return [...rules].map(([policy, own]) => policyFigure(policy, own, policies));
}

function downloadAll(origin) {
  const texts = view.policies.filter((policy) => policy.origin === origin).map((policy) => policy.text);
  download(`${origin.replace(' ', '-')}.yaml`, texts.join('---\n'));
}
