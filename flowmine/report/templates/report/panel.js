// The details of what was picked. Each part of it that can be picked is a button.
let picked = null;
const before = [];
const FEW = 40;

function pick(what, keep = true) {
  const origin = document.activeElement;
  if (keep && picked) before.push(picked);
  what.origin = what.origin || (origin && origin !== document.body && !$('panel').contains(origin) ? origin : null);
  picked = what.kind === 'wire' && what.wire.shown.length === 1
    ? { kind: 'connection', connection: what.wire.shown[0], origin: what.origin } : what;
  show();
}

function show() {
  const panel = $('panel');
  const turned = panel.classList.contains('empty') === Boolean(picked);
  panel.classList.toggle('empty', !picked);
  const doors = el('p', { class: 'doors' }, before.length ? button('Back', goBack) : '', button('Close', close));
  panel.replaceChildren(...(picked ? [doors, PANELS[picked.kind](picked)].flat(Infinity).filter(Boolean) : []));
  panel.scrollTop = 0;
  if (turned && !drawn.own) fit();
  markPicked();
  if (picked) panel.querySelector('h2').focus({ preventScroll: true });
}

function goBack() {
  picked = before.pop() || null;
  show();
}

function close() {
  const origin = picked && picked.origin;
  picked = null;
  before.length = 0;
  show();
  if (origin && origin.isConnected) origin.focus();
}

const heading = (...parts) => el('h2', { tabindex: -1 }, ...parts);
const pairs = (...rows) => el('dl', { class: 'pairs' }, rows.filter(([, value]) => value !== '' && value !== null)
  .map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
const chips = (texts) => texts.map((text) => el('span', { class: 'chip' }, said(short(text, 400))));

// A list of connections, a few at once; `far` says which end to name.
function calls(title, places, far) {
  if (!places.length) return [];
  const ordered = places.filter((place) => visible[place]).sort((a, b) => GRAVE[view.connections[b].outcome] - GRAVE[view.connections[a].outcome] || view.connections[b].events - view.connections[a].events);
  const list = el('ul', { class: 'calls' });
  const add = (some) => list.append(...some.map((place) => el('li', {}, callLink(place, far))));
  add(ordered.slice(0, FEW));
  const rest = ordered.slice(FEW);
  const more = rest.length ? button(`Show ${number(rest.length)} more`, () => { add(rest); more.remove(); }) : '';
  const hidden = places.length - ordered.length;
  return [el('h3', {}, `${title}: ${number(ordered.length)}${hidden ? ` (${number(hidden)} hidden by filters)` : ''}`), list, more];
}

function callLink(place, far) {
  const each = view.connections[place];
  const name = far === 'both' ? `${named(each.source)} → ${named(each.target)}` : named(each[far]);
  return [link(`${short(name)} ${each.where}`, () => pick({ kind: 'connection', connection: place })), ' ', badge(each.outcome), el('span', { class: 'quiet' }, ` ${many(each.events, 'event')}`)];
}

function nodePanel({ node: place }) {
  const node = view.nodes[place];
  const policies = [...node.recommended, ...node.in_force];
  return [
    heading(said(short(named(place), 300))),
    pairs(['kind', node.kind], ['group', link(short(view.groups[node.group].title), () => openGroup(node.group))], ['standing', node.standing ? said(node.standing) : ''],
      ['labels', node.labels.length ? chips(node.labels) : ''], ['pods', node.pods.length ? chips(node.pods) : '']),
    ...calls('Calls', found.from[place], 'target'),
    ...calls('Called by', found.to[place], 'source'),
    policies.length ? el('h3', {}, 'Policies') : '',
    ...policies.map((policy) => policyFigure(policy)),
  ];
}

function wirePanel({ wire }) {
  const slots = drawn.plan.slots;
  return [
    heading(said(short(slotName(slots[wire.source]), 200)), ' → ', said(short(slotName(slots[wire.target]), 200))),
    el('p', {}, badge(wire.outcome), ` ${view.outcomes[wire.outcome]}`),
    ...calls('Connections', wire.shown, 'both'),
  ];
}

function groupPanel({ group }) {
  const members = view.nodes.map((node, place) => place).filter((place) => view.nodes[place].group === group);
  const list = el('ul', { class: 'calls' }, members.slice(0, 400).map((place) => el('li', {}, link(short(view.nodes[place].title), () => pick({ kind: 'node', node: place })), el('span', { class: 'quiet' }, ` ${view.nodes[place].kind}, ${many(found.from[place].length, 'call')} out, ${number(found.to[place].length)} in`))));
  return [heading(said(short(view.groups[group].title, 200))), el('p', { class: 'quiet' }, many(members.length, view.groups[group].kind === 'namespace' ? 'workload' : 'peer')), list];
}

function policyPanel({ policy, rules }) {
  return [heading(said(short(view.policies[policy].name, 200))), policyFigure(policy, rules || [])];
}

function requestTable(each) {
  if (!each.requests.length) return '';
  const rows = each.requests.map(([method, host, where, count, denied]) => el('tr', {}, el('td', {}, said(method)), el('td', {}, said(short(host + where, 200))), el('td', { class: 'number' }, number(count)), el('td', {}, denied ? badge('dropped') : badge('delivered'))));
  return [el('h3', {}, 'Requests'), el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Requests' }, el('table', {}, el('thead', {}, el('tr', {}, ['method', 'what', 'events', 'outcome'].map((name) => el('th', { scope: 'col' }, name)))), el('tbody', {}, rows)))];
}

function sidePart(name, side, policies = view.policies) {
  if (!side) return '';
  const words = { allowed: 'allowed by', denied: 'denied, for these close it and none of their rules allows it:', 'deny-rule': 'denied by', 'no-policy': 'no policy closes this side', 'not governed': 'this end is not governed by these policies', error: 'the policies cannot be resolved:' };
  return [el('p', {}, el('strong', {}, `${name}: `), `${words[side.outcome] || side.outcome} `, side.by.map((by) => el('span', { class: 'chip' }, said(short(by, 300))))), ruleFigures(side.rules, policies)];
}

function whyNot(each) {
  if (!view.policies.some((policy) => policy.origin === 'recommended')) return 'Nothing is recommended for this capture.';
  if (each.outcome === 'delivered') return 'No recommended rule is for it: neither end is closed on its side (see the standing of its ends), it comes from the own node, or it was taken for noise.';
  return `It was ${each.outcome}, so no rule is recommended for it.`;
}

function connectionPanel({ connection: place }) {
  const each = view.connections[place];
  const judged = each.egress || each.ingress;
  const reasons = each.reasons.map(([side, reason, by, count]) => el('li', {}, said(`${reason} at ${side}${by ? ` by ${by}` : ''}: ${number(count)}`)));
  return [
    heading(link(short(named(each.source), 200), () => pick({ kind: 'node', node: each.source })), ' → ', link(short(named(each.target), 200), () => pick({ kind: 'node', node: each.target })), ` ${each.where}`),
    el('p', {}, badge(each.outcome), ` ${view.outcomes[each.outcome]}${each.changed ? '; it changed within the capture, this is the latest' : ''}`),
    ...hooks.connection.map((part) => part(place)),
    pairs(['events', number(each.events)], ['delivered', number(each.delivered)], ['dropped', each.dropped ? number(each.dropped) : ''], ['audited', each.audited ? number(each.audited) : ''],
      ['first', when(each.first)], ['last', when(each.last)], ['seen in', each.hours ? many(each.hours, 'hour') : ''], ['Service', each.service ? said(short(each.service, 300)) : ''], ['names', each.names.length ? chips(each.names) : ''],
      ['addresses', each.addresses.length ? [...chips(each.addresses), each.address_count > each.addresses.length ? `and ${number(each.address_count - each.addresses.length)} more` : ''].filter(Boolean) : ''],
      ['flows', each.samples.length ? each.samples.map(([at, uuid]) => el('div', { title: 'in the capture: flowmine flows --uuid' }, `${when(at)} `, el('code', {}, said(short(uuid, 60))))) : '']),
    reasons.length ? [el('h3', {}, 'Why it was dropped'), el('ul', {}, reasons)] : '',
    requestTable(each),
    ...dropDetails(each),
    judged ? el('h3', {}, 'What the policies in force say') : '',
    sidePart('egress', each.egress), sidePart('ingress', each.ingress),
    el('h3', {}, each.recommended.length ? 'Admitted by the recommendation' : 'Recommendation'),
    each.recommended.length ? ruleFigures(each.recommended) : el('p', { class: 'quiet' }, whyNot(each)),
  ].flat(3);
}

function dropDetails(each) {
  if (!each.drops.length) {
    if (!['dropped', 'audited', 'other'].includes(each.outcome)) return [];
    return [el('p', { class: 'quiet' }, 'No change is proposed for it: it is part of a scan, its cause is gone, or no policy did it (see Drops).')];
  }
  const copies = each.drops.map((place) => {
    const copied = $(`drop-${place}`).cloneNode(true);
    copied.removeAttribute('id');
    copied.open = true;
    return copied;
  });
  return [el('h3', {}, 'What would admit it'), ...copies];
}

const PANELS = { node: nodePanel, wire: wirePanel, group: groupPanel, policy: policyPanel, connection: connectionPanel };
