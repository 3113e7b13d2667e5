// The draft: what the server says of it, and what is asked of the server. The server alone judges and writes.
let draft = null;
const drafting = { busy: false, shaded: false, chosen: false, changes: new Map(), waiting: [] };
const STEPS = ['draft/undo', 'draft/redo'];
const CHANGES = { 'would be denied': 'breaks', 'newly denied': 'breaks', 'newly allowed': 'opens', 'noise denied': 'hushes' };

async function ask(path, body) {
  const token = document.querySelector('meta[name="flowmine-csrf"]').content;
  const how = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json', 'x-flowmine-csrf': token }, body: JSON.stringify(body) };
  const answer = await fetch(path, how);
  const text = await answer.text();
  let value = { problem: `answer ${answer.status}` };
  try { value = JSON.parse(text); } catch { if (answer.status === 403) value.problem = 'this page has lost its token: open the address that flowmine ui printed'; }
  return { ok: answer.ok, status: answer.status, value };
}

async function redraft() {
  const { ok, value } = await ask('draft');
  if (ok) await takeDraft(value);
}

// Ask for a change, and show what came of it. While one is on its way steps back and forth wait, and nothing else is taken.
async function change(path, body = {}) {
  if (drafting.busy) {
    if (STEPS.includes(path)) drafting.waiting.push(path);
    return;
  }
  drafting.busy = true;
  $('draft').setAttribute('aria-busy', 'true');
  document.documentElement.classList.add('busy');
  try {
    const { ok, status, value } = await ask(path, body);
    if (ok) {
      if (path !== 'save' && !drafting.chosen) drafting.shaded = true;
      await takeDraft(value);
      announce([...value.last.problems, ...value.last.done, told(value)].filter(Boolean).map((text) => short(text, 200)).join('. '));
    } else {
      complain(value.problem);
      if (status === 409) { heard.newest += 1; refresh(); }
    }
  } catch (error) {
    complain(`flowmine ui does not answer (${error.message})`);
  } finally {
    drafting.busy = false;
    $('draft').removeAttribute('aria-busy');
    document.documentElement.classList.remove('busy');
  }
  if (drafting.waiting.length) await change(drafting.waiting.shift());
}

function complain(text) {
  $('draft-said').replaceChildren(el('p', { class: 'note' }, said(text)));
  for (const place of document.querySelectorAll('.connection-draft .answer')) place.replaceChildren(el('p', { class: 'note' }, said(text)));
  announce(text);
}

// What a draft would do, in one sentence.
function told(value) {
  const count = Object.fromEntries(value.effects.map((each) => [each.kind, each.count]));
  const denied = (count['would be denied'] || 0) + (count['newly denied'] || 0);
  const noise = count['noise denied'] ? `, and ${many(count['noise denied'], 'connection')} of noise` : '';
  return `It would deny ${denied ? many(denied, 'connection') : 'nothing'} that works today${noise}; it newly allows ${count['newly allowed'] ? many(count['newly allowed'], 'connection') : 'nothing'}`;
}

async function takeDraft(value) {
  if (value.view !== heard.version) {
    if (value.view > heard.version) { heard.newest = value.view; await refresh(); }
    return;
  }
  const focus = focusWords();
  draft = value;
  drafting.changes = new Map(value.changes.map(([place, kind]) => [place, kind]));
  paintDraft();
  reshade();
  await repaintConnection();
  refocus(focus);
}

// Colour the map by what was recorded, or by what the draft would do; the boxes stay where they are.
function reshade() {
  const canvas = $('canvas');
  const stood = [canvas.scrollLeft, canvas.scrollTop, drawn.own ? drawn.scale : 0];
  const chosen = picked && picked.kind === 'wire' ? WORDS.wire(picked) : null;
  const own = focusWords();
  shades = drafting.shaded && draft ? { outcomes: draft.outcomes, wires: draft.wires } : null;
  drawn.plan = null;
  repaint();
  if (stood[2]) { zoom(stood[2]); drawn.own = true; }
  [canvas.scrollLeft, canvas.scrollTop] = stood;
  $('shade-recorded').setAttribute('aria-pressed', String(!shades));
  $('shade-draft').setAttribute('aria-pressed', String(Boolean(shades)));
  $('shade-note').hidden = !shades;
  if (chosen) { picked = again('wire', chosen) || picked; if (picked.kind === 'wire' && !drawn.wires.includes(picked.wire)) { picked = null; show(); } }
  refocus(own);
}

hooks.drawn.push(() => {
  if (!shades) return;
  for (const wire of drawn.wires) {
    for (const place of wire.connections) {
      const kind = drafting.changes.get(place);
      if (kind) wire.line.classList.add(CHANGES[kind]);
    }
  }
});

// The draft's word on the connection whose details are open.
function connectionDraft(place) {
  const answer = el('div', { class: 'answer' });
  const part = el('div', { class: 'connection-draft', 'data-place': place }, answer);
  fillConnection(part, place);
  return [part];
}
hooks.connection.push(connectionDraft);

async function fillConnection(part, place) {
  if (!draft) return; // it follows once the draft is there
  const { ok, status, value } = await ask(`draft/connection?view=${heard.version}&place=${place}`);
  if (!part.isConnected && part.parentNode === null) return;
  const inside = part.querySelector('.answer');
  const own = inside.contains(document.activeElement); // asked now: the focus may have gone elsewhere while the answer was awaited
  const opened = Boolean(inside.querySelector('details[open]'));
  if (!ok) {
    if (status !== 409) inside.replaceChildren(el('p', { class: 'note' }, said(value.problem)));
    return;
  }
  const ruled = [value.egress, value.ingress].some((side) => side.outcome === 'allowed' && side.rules.length);
  const word = value.works ? 'delivered' : 'dropped';
  inside.replaceChildren(
    el('p', { class: 'verdict' }, el('span', { class: `outcome ${word}` }, value.works ? 'the draft lets it pass' : 'the draft denies it'), value.kind ? el('span', { class: `kind ${CHANGES[value.kind]}` }, value.kind) : ''),
    el('p', { class: 'doors' },
      !value.works || value.open.length ? button(value.works && ruled ? 'Add the other end too' : 'Add to draft', () => change('draft/add', { view: heard.version, places: [place] }), { class: value.works && ruled ? null : 'main' }) : '',
      value.works && ruled ? button('Remove from draft', () => change('draft/remove', { view: heard.version, places: [place] })) : ''),
    value.works && value.open.length ? el('p', { class: 'quiet' }, `No rule of the draft closes ${value.open.map((side) => `the ${side} of ${short(named(view.connections[place][side === 'egress' ? 'source' : 'target']), 80)}`).join(' or ')}. Adding it writes the rule, and so closes that to all else.`) : '',
    el('details', opened ? { open: '' } : {}, el('summary', {}, 'Why, by the draft'), sidePart('egress', value.egress, draft.policies), sidePart('ingress', value.ingress, draft.policies)));
  const first = inside.querySelector('button');
  if (own && first) first.focus({ preventScroll: true });
}

async function repaintConnection() {
  for (const part of document.querySelectorAll('.connection-draft')) await fillConnection(part, Number(part.dataset.place));
}
