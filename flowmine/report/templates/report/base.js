// Elements are made one by one and their texts set as texts: what a capture holds is never markup.
const $ = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const said = (text) => el('bdi', {}, text);
const short = (text, most = 120) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const many = (count, noun) => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
const number = (count) => count.toLocaleString('en');
const when = (at) => (at === null ? '' : new Date(at).toISOString().slice(0, 19).replace('T', ' '));
const link = (label, run, more = {}) => el('button', { type: 'button', class: 'link', on: { click: run }, ...more }, said(label));
const button = (label, run, more = {}) => el('button', { type: 'button', on: { click: run }, ...more }, label);
const badge = (outcome) => el('span', { class: `outcome ${outcome}`, title: view.outcomes[outcome] }, outcome);

// What a page that is served adds to a report: what runs once it is ready, and what the details of a connection hold.
const hooks = { ready: [], connection: [], drawn: [] };

let view = null; // what the page shows, and by what it is found: see `index`
const found = { hay: [], from: [], to: [], rank: {} };
const GRAVE = { dropped: 4, audited: 3, other: 2, unseen: 1, delivered: 0 };

async function load(page = document) {
  const packed = Uint8Array.from(atob(page.getElementById('data').textContent.trim()), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
}

function index() {
  found.hay = view.nodes.map((node) =>
    [node.title, view.groups[node.group].title, node.kind, ...node.labels].join(' ').toLowerCase());
  found.from = view.nodes.map(() => []);
  found.to = view.nodes.map(() => []);
  Object.keys(view.outcomes).forEach((outcome, place) => { found.rank[outcome] = place; });
  view.connections.forEach((each, place) => {
    found.from[each.source].push(place);
    found.to[each.target].push(place);
    each.where = each.port === null ? each.protocol : `${each.port}/${each.protocol}`;
    each.hay = [each.where, each.service, ...each.names, ...each.addresses].join(' ').toLowerCase();
    each.lookup = each.port === 53 || each.port === 5353;
    const caller = view.groups[view.nodes[each.source].group];
    each.platform = caller.kind === 'platform';
  });
}

// A node as people call it: a workload with its namespace.
function named(place) {
  const node = view.nodes[place];
  const group = view.groups[node.group];
  return group.kind === 'namespace' ? `${group.title}/${node.title}` : node.title;
}

async function copy(text, by) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el('textarea', { class: 'skip', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  const before = by.textContent;
  by.textContent = 'Copied';
  setTimeout(() => { by.textContent = before; }, 1200);
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/yaml' }));
  el('a', { href: address, download: name.replace(/[^A-Za-z0-9._-]+/g, '-') }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
