// What must never be in a log: names, e-mail addresses, dates of birth, passwords, tokens. Whoever uses one in
// a test says so here, and when the server has ended, everything that it said is searched for all of them.

import { readFileSync } from 'node:fs';

const secrets = new Set();

/** Remembers what is personal, or secret. */
export function secret(...values) {
  for (const value of values) if (value) secrets.add(value);
}

/** The forms in which a text may be in a log. */
function forms(text) {
  const bytes = Buffer.from(text);
  return [text, encodeURIComponent(text), bytes.toString('base64'), bytes.toString('hex'), [...bytes].join(', ')];
}

/** Throws when a log holds anything of it. Says which line, and of what kind the secret is, not the secret. */
export function checkLog(file) {
  const log = readFileSync(file, 'utf8');
  if (!log.includes('TRACE')) throw new Error(`${file} isn't at its finest: there is no line of the level TRACE.`);
  const lower = log.toLowerCase();
  for (const each of secrets) {
    // Of a token, its parts say enough; its header is no secret.
    const parts = each.split('.').length === 3 && each.length > 100 ? each.split('.').slice(1) : [each];
    for (const text of parts.filter((part) => part.length >= 6).flatMap(forms)) {
      const at = lower.indexOf(text.toLowerCase());
      if (at < 0) continue;
      const line = lower.slice(0, at).split('\n').length;
      throw new Error(`${file}, line ${line}, holds something personal: ${each.slice(0, 4)}…, ${each.length} characters.`);
    }
  }
}
