// What the draft section shows: what the last change did, what the draft changes, and its policies.
function edgeLink(place) {
  const each = view.connections[place];
  return [link(short(`${named(each.source)} → ${named(each.target)} ${each.where}`, 160), () => pick({ kind: 'connection', connection: place })), ' ', badge(each.outcome)];
}

const STATES = { new: 'new', changed: 'changed', same: 'as in force' };

function paintDraft() {
  const count = (state) => draft.policies.filter((policy) => policy.state === state).length;
  const parts = [['new', count('new')], ['changed', count('changed')], ['as in force', count('same')], ['of those in force left out', draft.gone.length]].filter(([, number]) => number);
  const held = parts.length ? parts.map(([word, number]) => `${number} ${word}`).join(', ') : 'no policy yet';
  $('draft-state').replaceChildren(el('strong', {}, `The draft, from ${draft.origin}: `), `${held}. ${told(draft)}.`);
  const start = $('start');
  start.replaceChildren(...draft.starts.map((origin) => el('option', { value: origin, selected: origin === (start.value || draft.origin) }, origin)));
  for (const [id, word] of [['undo', 'Undo'], ['redo', 'Redo']]) {
    $(id).disabled = draft[id] === null;
    $(id).title = draft[id] === null ? '' : short(draft[id], 120);
    $(id).setAttribute('aria-label', draft[id] === null ? word : `${word}: ${short(draft[id], 120)}`);
  }
  paintSaid();
  $('effects').replaceChildren(...draft.effects.map(effectPart));
  paintPapers();
}

function paintSaid() {
  const { done, problems, gained, lost } = draft.last;
  const list = (places, word) => (places.length ? el('details', {}, el('summary', {}, `${word} ${many(places.length, 'connection')}`), el('ul', { class: 'calls' }, places.slice(0, 100).map((place) => el('li', {}, edgeLink(place))), places.length > 100 ? el('li', {}, `and ${number(places.length - 100)} more`) : '')) : '');
  $('draft-said').replaceChildren(...[
    problems.map((text) => el('p', { class: 'note' }, said(text))),
    done.length ? el('ul', { class: 'done' }, done.map((text) => el('li', {}, said(text)))) : '',
    list(gained, 'That lets through'), list(lost, 'That no longer lets through'),
  ].flat().filter(Boolean));
}

const HEADINGS = {
  'would be denied': 'Works today, and the draft would deny it',
  'newly denied': 'Allowed today though not seen delivered, and the draft would deny it',
  'newly allowed': 'Refused today, and the draft would allow it',
  'noise denied': 'Noise that the draft would deny: scans that hit, stray probes',
};

function effectPart({ kind, count, items }) {
  const denied = kind !== 'newly allowed';
  const act = (places) => change(denied ? 'draft/add' : 'draft/remove', { view: heard.version, places });
  const word = denied ? 'Add' : 'Remove';
  const rows = items.map((item) => el('li', {},
    el('span', { class: 'edge' }, edgeLink(item.place), item.sides.length ? el('span', { class: 'quiet' }, ` at ${item.sides.join(' and ')}`) : '', item.requests.length ? el('span', { class: 'quiet' }, ' ', said(short(item.requests.join(', '), 120))) : ''),
    button(word, () => act([item.place]), { 'aria-label': `${word} ${short(named(view.connections[item.place].source), 80)} to ${short(named(view.connections[item.place].target), 80)} ${view.connections[item.place].where}` })));
  const all = denied && items.length > 1 && items.length <= 60 ? button(`Add all ${items.length}`, () => act(items.map((item) => item.place))) : '';
  return el('section', { class: `effect ${CHANGES[kind]}` },
    el('div', { class: 'head' }, el('h3', {}, `${HEADINGS[kind]}: ${number(count)}`), all),
    el('ul', { class: 'calls' }, rows, count > items.length ? el('li', {}, `and ${number(count - items.length)} more`) : ''));
}

function paintPapers() {
  const opened = new Set([...document.querySelectorAll('#changed details[open]')].map((each) => each.dataset.ref));
  const figures = draft.policies.map((policy, place) => ({ policy, place })).filter(({ policy }) => policy.state !== 'same');
  const rest = draft.policies.map((policy, place) => ({ policy, place })).filter(({ policy }) => policy.state === 'same');
  const fold = (ref, title, fill) => {
    const inside = el('details', { 'data-ref': ref }, el('summary', {}, title));
    inside.addEventListener('toggle', () => { if (inside.open && inside.children.length === 1) inside.append(...fill()); });
    if (opened.has(ref)) inside.open = true;
    return inside;
  };
  const diff = (policy) => fold(policy.ref, 'What changes', () => [el('pre', { class: 'diff', tabindex: 0, role: 'region', 'aria-label': `Changes of ${short(policy.name)}` }, policy.diff.split('\n').map((line) => el('span', { class: `line ${line.startsWith('+') ? 'add' : line.startsWith('-') ? 'del' : ''}` }, line || ' ')))]);
  const paper = ({ policy, place }) => el('div', { class: 'paper' }, policyFigure(place, policy.fresh, draft.policies), policy.diff ? diff(policy) : '');
  $('changed').replaceChildren(...[
    figures.length ? el('h3', {}, 'Policies of the draft') : '',
    figures.length > 12 ? fold(' changed', `${number(figures.length)} new and changed policies`, () => figures.map(paper)) : el('div', { class: 'papers' }, figures.map(paper)),
    rest.length ? fold(' same', `${many(rest.length, 'policy').replace('policys', 'policies')} as in force`, () => rest.map(paper)) : '',
    draft.gone.length ? el('p', { class: 'quiet' }, 'In force, and not in the draft: ', draft.gone.slice(0, 50).map((ref) => el('span', { class: 'chip' }, said(short(ref)))), draft.gone.length > 50 ? `and ${number(draft.gone.length - 50)} more` : '') : '',
  ].filter(Boolean));
}

// Every group of drops has a way into the draft.
function decorateDrops() {
  for (const each of document.querySelectorAll('#drops details.drop')) {
    if (!each.querySelector('.drop-add')) each.querySelector('summary').after(el('p', { class: 'doors' }, el('button', { type: 'button', class: 'drop-add', 'data-drop': each.id.slice(5) }, 'Add to draft')));
  }
}

function startDraft() {
  $('drafting').hidden = false;
  $('begin').addEventListener('click', () => change('draft/start', { origin: $('start').value }));
  $('undo').addEventListener('click', () => change('draft/undo'));
  $('redo').addEventListener('click', () => change('draft/redo'));
  if ($('save')) $('save').addEventListener('click', () => change('save'));
  $('take').addEventListener('click', () => download('draft.yaml', draft.policies.map((policy) => policy.text).join('---\n')));
  const shade = (on) => { drafting.shaded = on; drafting.chosen = true; reshade(); };
  $('shade-recorded').addEventListener('click', () => shade(false));
  $('shade-draft').addEventListener('click', () => shade(true));
  document.addEventListener('click', (event) => {
    const by = event.target.closest('button.drop-add');
    if (!by) return;
    const group = Number(by.dataset.drop);
    const places = view.connections.map((each, place) => place).filter((place) => view.connections[place].drops.includes(group));
    change('draft/add', { view: heard.version, places });
  });
  document.addEventListener('keydown', (event) => {
    const typing = ['INPUT', 'TEXTAREA', 'SELECT'].includes(document.activeElement.tagName);
    if (typing || !(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== 'z') return;
    event.preventDefault();
    change(event.shiftKey ? 'draft/redo' : 'draft/undo');
  });
  decorateDrops();
  redraft();
}
hooks.ready.push(startDraft);
