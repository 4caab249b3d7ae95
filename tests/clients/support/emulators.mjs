// Google's Firestore emulator and Firebase's Auth emulators.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { answers, start, workDir } from './processes.mjs';
import { repository } from './projects.mjs';

const require = createRequire(import.meta.url);

/** Finds the Firestore emulator, or says how to get it. Nothing is ever skipped for want of it. */
function firestoreJar() {
  const how =
    'It comes with the Google Cloud CLI (`gcloud components install cloud-firestore-emulator`, or the package ' +
    'google-cloud-cli-firestore-emulator); or name the jar in FIRESTORE_EMULATOR_JAR.';
  const named = process.env.FIRESTORE_EMULATOR_JAR;
  if (named) {
    if (!existsSync(named)) throw new Error(`FIRESTORE_EMULATOR_JAR names ${named}, which doesn't exist. ${how}`);
    return resolve(named);
  }
  let root;
  try {
    root = execFileSync('gcloud', ['info', '--format=value(installation.sdk_root)'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    throw new Error(`The Firestore emulator is missing: there is no gcloud to ask for it. ${how}`);
  }
  const jar = join(root, 'platform/cloud-firestore-emulator/cloud-firestore-emulator.jar');
  if (!existsSync(jar)) throw new Error(`The Firestore emulator is missing: there is no ${jar}. ${how}`);
  return jar;
}

/** One emulator holds the databases of all projects. Without a port of ours, events go nowhere. */
export async function startFirestore(port, functionsPort) {
  const emulator = start('firestore-emulator', 'java', [
    // No test lasts for long enough to make up for what the second compiler costs.
    '-XX:TieredStopAtLevel=1',
    '-cp', firestoreJar(),
    'com.google.cloud.datastore.emulator.firestore.CloudFirestore',
    '--host', '127.0.0.1',
    '--port', String(port),
    // Where it delivers document events: no functions emulator stands between it and our server.
    ...(functionsPort ? ['--functions_emulator', `127.0.0.1:${functionsPort}`] : []),
    '--rules', join(repository, 'firestore.rules'),
  ]);
  await answers(`http://127.0.0.1:${port}/`, emulator);
  return emulator;
}

/** An emulator for a project: whatever API key a client names, its accounts are of that one project. */
export async function startAuth(project, [port, hub, logging]) {
  const config = join(workDir, `${project}.firebase.json`);
  writeFileSync(
    config,
    JSON.stringify({
      emulators: {
        auth: { host: '127.0.0.1', port },
        hub: { host: '127.0.0.1', port: hub },
        logging: { host: '127.0.0.1', port: logging },
        ui: { enabled: false }, // the only part that would be downloaded
      },
    }),
  );
  const cli = join(dirname(require.resolve('firebase-tools/package.json')), 'lib/bin/firebase.js');
  const emulator = start(
    `auth-emulator-${project}`,
    process.execPath,
    [cli, 'emulators:start', '--only', 'auth', '--project', project, '--config', config],
    // Its settings go to the work directory, not to the home of whoever runs the tests.
    { env: { XDG_CONFIG_HOME: workDir, NO_UPDATE_NOTIFIER: '1', CI: 'true' } },
  );
  await answers(`http://127.0.0.1:${port}/`, emulator);
  return emulator;
}

/** Cloud Tasks' emulator. Firebase's tool starts it beside functions only, so it's started by itself. */
export async function startTasks(port) {
  const emulator = start('tasks-emulator', process.execPath, [
    fileURLToPath(new URL('tasks-emulator.cjs', import.meta.url)),
    String(port),
  ]);
  await answers(`http://127.0.0.1:${port}/queueStats`, emulator);
  return emulator;
}
