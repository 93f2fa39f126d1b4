'use strict';
/* The page's side of dash.h: each event is a frame, an array of the objects of "view". */
const ROWS = 50, SECONDS = 300, HEIGHT = 210;
const at = id => document.getElementById(id);
const choice = { sort: 'rate', filter: '', first: 0 };
const rates = [[], [], []]; /* time, in, out */
let source, chart, told = 0;

/* ---- words and numbers ---- */

const many = number => (number ?? 0).toLocaleString('en');

function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  for (value = value ?? 0; value >= 999.5 && unit < 5; unit++) value /= 1000;
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

function time(ms) {
  if (!ms) return '';
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return age(ms);
}

function age(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

const clock = second => new Date(second * 1000).toLocaleTimeString('en-GB');
const bare = where => (where ?? '').replace(/^tcp /, '');

/* ---- parts of the page: text is always set as text ---- */

function cell(text, kind = '', small = '') {
  const td = document.createElement('td');
  td.textContent = text;
  td.className = /^(0( B)?|idle)$/.test(text) ? `${kind} nothing` : kind;
  if (small) {
    const more = document.createElement('small');
    more.textContent = ` ${small}`;
    td.append(more);
  }
  return td;
}

function trend(digits) {
  const space = 'http://www.w3.org/2000/svg', svg = document.createElementNS(space, 'svg');
  const td = document.createElement('td'), path = document.createElementNS(space, 'path');
  svg.setAttribute('class', 'trend');
  svg.setAttribute('width', 64);
  svg.setAttribute('height', 15);
  path.setAttribute('d', [...digits ?? ''].map((digit, i) =>
    `M${i * 4} 15v${-2 * digit}h3v${2 * digit}z`).join(''));
  svg.append(path);
  td.append(svg);
  return td;
}

function row(...cells) {
  const tr = document.createElement('tr');
  tr.append(...cells);
  return tr;
}

function total(name, value, kind = '') {
  const div = document.createElement('div'), dt = document.createElement('dt');
  const dd = document.createElement('dd');
  div.className = kind;
  dt.textContent = name;
  dd.textContent = value;
  div.append(dt, dd);
  return div;
}

/* ---- a frame ---- */

function showTotals(process, view, faults) {
  const parts = [
    total('connected', many(process.connected)), total('have come', many(process.clients)),
    total('turned away', many(process.turned_away)), total('running for', age(process.ms)),
    total('in', `${bytes(view.in_rate)}/s`), total('out', `${bytes(view.out_rate)}/s`),
    total('came in', bytes(process.in)), total('went out', bytes(process.out)),
  ];
  if (process.lost !== undefined) parts.push(total('lost', bytes(process.lost)));
  for (const { direction, fault } of faults.filter(({ fault }) => fault !== 'off'))
    parts.push(total(`fault, ${direction}`, fault, 'fault'));
  at('totals').replaceChildren(...parts);
  at('name').textContent = `tenon ${process.kind} ${process.name}`;
  document.title = `${many(process.connected)} · ${process.name}`;
  at('state').textContent = `${process.addr}, pid ${process.pid}` +
    (process.draining ? ', draining: nobody is let in any more' : '');
  at('state').className = 'live';
}

function showTargets(targets) {
  at('targets-part').hidden = !targets.length;
  at('targets').replaceChildren(...targets.map(target => row(
    cell(bare(target.target)), cell(target.up ? 'up' : `down: ${target.why}`, target.up ? 'up' : 'down'),
    cell(many(target.connections), 'n'), cell(many(target.chosen), 'n'), cell(many(target.refused), 'n'),
    cell(time(target.connect_ms), 'n'), cell(bytes(target.out), 'n'), cell(bytes(target.in), 'n'))));
}

function showClients(clients, view) {
  const hasTargets = clients.some(client => client.target);
  document.querySelector('th.to').hidden = !hasTargets;
  const rows = clients.map(client => {
    const to = cell(bare(client.target)), words = client.limited ?? '';
    to.hidden = !hasTargets;
    return row(
      cell(client.id, 'n'), cell(bare(client.where)), to, cell(age(client.ms), 'n'),
      cell(bytes(client.in_rate), 'n'), cell(bytes(client.out_rate), 'n'), trend(client.trend),
      cell(time((client.rtt_us ?? 0) / 1000), 'n'),
      cell(many((client.retrans ?? 0) + (client.target_retrans ?? 0)), 'n'),
      cell(bytes((client.unacked ?? 0) + (client.target_unacked ?? 0)), 'n'),
      cell(words, words.startsWith('us:') ? 'ours' : '',
        client.limited_percent ? `${client.limited_percent} %` : ''));
  });
  if (!rows.length) {
    const words = choice.filter ? `nobody with “${choice.filter}” in an address` : 'nobody is connected';
    rows.push(row(cell(words, 'nobody')));
    rows[0].firstChild.colSpan = 11;
  }
  at('clients').replaceChildren(...rows);
  at('range').textContent = view.matched === 0 ? 'none' :
    `${many(view.first + 1)}–${many(view.first + clients.length)} of ${many(view.matched)}`;
  at('back').disabled = view.first === 0;
  at('on').disabled = view.first + clients.length >= view.matched;
  if (view.first > 0 && view.first >= view.matched) turn(0);
}

function showRates(view) {
  const now = Date.now() / 1000;
  [now, view.in_rate, view.out_rate].forEach((value, i) => {
    rates[i].push(value);
    if (rates[i].length > SECONDS) rates[i].shift();
  });
  chart?.setData(rates, false);
  showMoment();
  chart?.setScale('x', { min: Math.max(now - SECONDS, Math.min(rates[0][0], now - 60)), max: now });
}

/* Beside the chart's name: the figures under the mouse, or the newest. */
function showMoment() {
  const pointed = chart?.cursor.idx, i = pointed ?? rates[0].length - 1;
  if (i < 0) return;
  at('in').textContent = `${bytes(rates[1][i])}/s`;
  at('out').textContent = `${bytes(rates[2][i])}/s`;
  at('moment').textContent = pointed == null ? '' : `at ${clock(rates[0][i])}`;
}

function show(frame) {
  const of = name => frame.filter(object => object.ev === name);
  const [process] = of('process'), [view] = of('view');
  showTotals(process, view, of('fault'));
  showTargets(of('target'));
  showClients(of('client'), view);
  if (told) showRates(view); /* the first frame may be the first look, without rates */
  told = Date.now();
}

/* ---- the chart ---- */

function draw() {
  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: color('--faint'), font: '12px system-ui, sans-serif',
    grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 } };
  const line = { width: 2, points: { show: false } };
  chart?.destroy();
  chart = new uPlot({
    width: at('chart').clientWidth, height: HEIGHT, legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } }, hooks: { setCursor: [showMoment] },
    scales: { y: { range: (_, least, most) => [0, Math.max(most * 1.05, 1000)] } },
    axes: [{ ...axis, size: 36, space: 80, values: (_, times) => times.map(clock) },
      { ...axis, size: 76, values: (_, values) => values.map(value => `${bytes(value)}/s`) }],
    series: [{}, { ...line, stroke: color('--in'), fill: `${color('--in')}30` },
      { ...line, stroke: color('--out'), dash: [6, 4] }],
  }, rates, at('chart'));
}

/* ---- the choice of rows ---- */

function listen() {
  source?.close();
  source = new EventSource(`/events?${new URLSearchParams(choice)}`);
  source.onmessage = event => show(JSON.parse(event.data));
  source.onerror = () => { /* a browser tries again by itself, but not after a 503 */
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

function turn(first) {
  choice.first = Math.max(0, first);
  listen();
}

at('sort').onchange = () => { choice.sort = at('sort').value; turn(0); };
at('filter').onchange = () => { choice.filter = at('filter').value; turn(0); };
at('choice').onsubmit = event => event.preventDefault();
at('back').onclick = () => turn(choice.first - ROWS);
at('on').onclick = () => turn(choice.first + ROWS);
onresize = () => chart?.setSize({ width: at('chart').clientWidth, height: HEIGHT });
matchMedia('(prefers-color-scheme: dark)').onchange = draw;
setInterval(() => {
  if (told && Date.now() - told > 3500) {
    at('state').textContent = `nothing heard for ${age(Date.now() - told)}`;
    at('state').className = 'lost';
  }
}, 1000);
draw();
listen();
