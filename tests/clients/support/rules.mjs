// Security rules alone: an emulator with both databases' rules, and people by their tokens, without Auth.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { assertFails, assertSucceeds, initializeTestEnvironment } from '@firebase/rules-unit-testing';
import {
  collection, collectionGroup, deleteDoc, doc, getDoc, getDocs, setDoc, setLogLevel, updateDoc, writeBatch,
} from 'firebase/firestore';

import { startFirestore } from './emulators.mjs';
import { freePorts } from './processes.mjs';
import { repository } from './projects.mjs';

setLogLevel('silent');

// Rules are a project's; these are projects that no other test has. Other files than the repository's own can be named.
const DATABASES = {
  admin: { projectId: 'demo-rules-admin', file: process.env.ROAR_RULES || join(repository, 'firestore.rules') },
  assessment: {
    projectId: 'demo-rules-assessment',
    file: process.env.ROAR_ASSESSMENT_RULES || join(repository, 'firestore.assessment.rules'),
  },
};

/** Who asks: the token's claims. The Auth UID is `uid-` and the name, in both projects. */
export const PEOPLE = {
  signedOut: null,
  student: { roarUid: 'student' },
  otherStudent: { roarUid: 'other-student' },
  admin: { roarUid: 'admin', role: 'admin' },
  otherAdmin: { roarUid: 'other-admin', role: 'admin' },
  parent: { roarUid: 'parent', role: 'launch_admin' },
  platformAdmin: { roarUid: 'platform-admin', role: 'platform_admin' },
  superAdmin: { roarUid: 'super-admin', role: 'super_admin', super_admin: true },
  // A token doesn't give rights; a document does.
  pretender: { roarUid: 'pretender', role: 'super_admin', super_admin: true },
};
// Who keeps tasks is like anybody else elsewhere.
export const EVERYBODY = Object.keys(PEOPLE).filter((who) => who !== 'platformAdmin');
export const SIGNED_IN = EVERYBODY.filter((who) => who !== 'signedOut');

/** The rules of the named database, as text. */
export const rulesText = (name) => readFileSync(DATABASES[name].file, 'utf8');

/** Rules with so many expressions more in a function: where they still allow a write, it costs that much less. */
export function padded(rules, name, expressions) {
  const start = rules.indexOf('return ', rules.indexOf(`function ${name}(`)) + 'return '.length;
  if (start < 'return '.length || !rules.includes(`function ${name}(`)) throw new Error(`There is no function ${name}.`);
  // A call, its operator and its result are three; no expression may be nested too deeply.
  const ten = Array(10).fill('(true)').join(' && ');
  const pads = Array(Math.ceil(expressions / 31)).fill('padding()');
  const groups = Array.from({ length: Math.ceil(pads.length / 10) }, (_, i) => `(${pads.slice(i * 10, i * 10 + 10).join(' && ')})`);
  const padding = `    function padding() { return ${ten}; }\n\n`;
  const at = rules.indexOf('    function signedIn()');
  const long = `${rules.slice(0, start)}${groups.join(' && ')} && ${rules.slice(start)}`;
  return `${long.slice(0, at)}${padding}${long.slice(at)}`;
}

/** Opens the named database, or one of its own with the given rules. `close` ends what it started. */
export async function openRules(name, { projectId = DATABASES[name].projectId, rules = rulesText(name) } = {}) {
  let emulator;
  let address = process.env.SHARED_FIRESTORE_EMULATOR;
  if (!address) {
    const [port] = await freePorts(1);
    emulator = await startFirestore(port);
    address = `127.0.0.1:${port}`;
  }
  const [host, port] = address.split(':');
  const environment = await initializeTestEnvironment({ projectId, firestore: { host, port: Number(port), rules } });
  const db = Object.fromEntries(
    Object.entries(PEOPLE).map(([who, claims]) => {
      const context = claims ? environment.authenticatedContext(`uid-${who}`, claims) : environment.unauthenticatedContext();
      return [who, context.firestore()];
    }),
  );
  return {
    db,
    /** Writes documents past the rules. */
    async seed(documents) {
      await environment.withSecurityRulesDisabled(async (context) => {
        const batch = writeBatch(context.firestore());
        for (const [path, fields] of Object.entries(documents)) batch.set(doc(context.firestore(), path), fields);
        await batch.commit();
      });
    },
    async close() {
      await environment.clearFirestore();
      await environment.cleanup();
      await emulator?.stop();
    },
  };
}

/** What somebody can do to a document and its collection. */
export const OPERATIONS = {
  get: (db, path) => getDoc(doc(db, path)),
  list: (db, path) => getDocs(collection(db, path.slice(0, path.lastIndexOf('/')))),
  create: (db, path, who) => setDoc(doc(db, `${path}-made-by-${who}`), { made: true }),
  update: (db, path) => updateDoc(doc(db, path), { changed: true }),
  delete: (db, path) => deleteDoc(doc(db, path)),
};

/** All documents of collections of that name, wherever they are. */
export const listGroup = (db, name) => getDocs(collectionGroup(db, name));

/**
 * What was allowed though it mustn't be, or refused though it must; nothing when all is as it should be. First what must
 * be refused: once somebody has made a change, to make it again changes nothing, which rules may allow to others.
 */
export async function mismatches(cases) {
  const results = [];
  for (const allowed of [false, true]) {
    const attempts = cases.filter((each) => each.allowed === allowed).map(async ({ what, attempt }) => {
      try {
        await (allowed ? assertSucceeds(attempt()) : assertFails(attempt()));
        return undefined;
      } catch (error) {
        return `${what}: ${allowed ? 'refused' : 'allowed'} (${error.message.split('\n').slice(0, 2).join('')})`;
      }
    });
    results.push(...(await Promise.all(attempts)));
  }
  return results.filter(Boolean);
}
