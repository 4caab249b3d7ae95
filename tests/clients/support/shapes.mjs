// What clients may write, as the rules' helper functions say it: docs/client-writes.md's table, and what the tests try.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { repository } from './projects.mjs';

export const FILES = { admin: 'firestore.rules', assessment: 'firestore.assessment.rules' };
const BEGIN = '    // ==== Sizes and shapes: begin ';
const END = '    // ==== Sizes and shapes: end ';

/** The text that both files share. */
export function sharedPart(text) {
  const [start, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (start < 0 || end < start) throw new Error('The rules have no part of sizes and shapes.');
  return text.slice(start, text.indexOf('\n', end) + 1);
}

export const readRules = (name) => readFileSync(join(repository, FILES[name]), 'utf8');

const count = (number) => Number(number).toLocaleString('en');
const KINDS = {
  text: (chars) => `text, at most ${count(chars)} characters`,
  scalar: (chars) => `text, number or boolean, at most ${count(chars)} characters`,
  id: (chars) => `text, at most ${count(chars)} characters, not in double underscores, without a slash`,
  flag: () => 'boolean',
  yes: () => '`true`',
  no: () => '`false`',
  none: () => 'null',
  number: () => 'number',
  time: () => 'time',
  timeOrNone: () => 'time or null',
  now: () => "the server's time",
  list: (n, chars) => `list of at most ${count(n)} texts, numbers or booleans, together ${count(chars)} characters`,
  flat: (n, chars) => `map of at most ${count(n)} texts, numbers or booleans, together ${count(chars)} characters`,
  mixed: (n, chars) =>
    `map of at most ${count(n)} texts, numbers or booleans, together ${count(chars)} characters; or of at most 40, among ` +
    `them times, and lists and maps of such, each ${count(chars)} characters`,
  open: (n) => `map of at most ${count(n)} fields, their names together ${count(40 * n)} characters`,
  orgs: (n) => `map of lists by type of org, together at most ${count(n)} IDs`,
};

const ROW = /^\s*(?:return|&&)\s+(?:\(!\('(\w+)' in c\) \|\| )?(\w+)\(d(?:\.get\('(\w+)', null\)|\.(\w+))(?:, ([^()]*(?:\([^()]*\))?[^()]*))?\)\)?;?(?:\s+\/\/ (.*))?$/;

/** Every shape with its rows, in order. */
export function parseShapes(text) {
  const shapes = [];
  let shape;
  let comment = [];
  for (const line of sharedPart(text).split('\n')) {
    const head = /^\s*\/\/ Shape: (admin|assessment); (.+); (.+)$/.exec(line);
    if (head) {
      shape = { database: head[1], documents: head[2], when: head[3], name: undefined, rows: [] };
      shapes.push(shape);
    } else if (shape && !shape.name) {
      shape.name = /^ {4}function (\w+Shape)\(/.exec(line)?.[1];
      if (!shape.name) throw new Error(`No function follows the comment of a shape: ${line}`);
      comment = [];
    } else if (line === '    }') {
      shape = undefined;
    } else if (shape && /^\s*\/\/ /.test(line)) {
      comment.push(line.trim().slice(3));
    } else if (shape) {
      const row = ROW.exec(line);
      const field = row && (row[3] ?? row[4]);
      if (field) {
        const [, guard, kind, , , bounds] = row;
        if (guard && guard !== field) throw new Error(`${shape.name} looks at another field than it asks for: ${line}`);
        const said = row[6] ?? comment.join(' ');
        if (!said) throw new Error(`Nothing says who writes ${field} of ${shape.name}.`);
        const [, who, note] = /^(.*?)(?:: (.*))?$/.exec(said);
        if (!KINDS[kind] && !note) throw new Error(`Nothing says what ${field} of ${shape.name} may be.`);
        const numbers = KINDS[kind] ? (bounds ?? '').split(', ').filter(Boolean).map(Number) : [];
        shape.rows.push({ field, kind, bounds: numbers, who, note, known: Boolean(KINDS[kind]) });
      }
      comment = [];
    }
  }
  return shapes;
}

const cell = (text) => text.replaceAll('|', '\\|');
const what = ({ kind, bounds, note, known }) => [known ? KINDS[kind](...bounds) : undefined, note].filter(Boolean).join('; ');

/** The table, as Markdown. */
export function table(shapes) {
  return shapes.map(({ database, documents, when, rows }) => [
    `#### \`${documents}\` (${database}), ${when}`,
    '',
    '| Field | May be | Written by |',
    '|---|---|---|',
    ...rows.map((row) => `| \`${row.field}\` | ${cell(what(row))} | ${cell(row.who)} |`),
    '',
  ].join('\n')).join('\n');
}

export const DOCUMENT = join(repository, 'docs/client-writes.md');
const MADE = ['<!-- made by scripts/client-writes: begin -->\n', '<!-- made by scripts/client-writes: end -->'];

/** The document with the table that the rules make. */
export function withTable(document, rules = readRules('admin')) {
  const [start, end] = MADE.map((mark) => document.indexOf(mark));
  if (start < 0 || end < start) throw new Error('docs/client-writes.md has no place for the table.');
  return `${document.slice(0, start + MADE[0].length)}\n${table(parseShapes(rules))}\n${document.slice(end)}`;
}
