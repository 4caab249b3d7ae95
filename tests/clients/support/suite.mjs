// The servers that a test needs: Google's Firestore emulator, Firebase's Auth emulator, and ours.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { answers, freePorts, run, start, workDir } from './processes.mjs';

// A `demo-` project is one that Google's tools never look for in the cloud.
export const ADMIN_PROJECT = 'demo-roar-admin';
export const ASSESSMENT_PROJECT = 'demo-roar-assessment';

const repository = fileURLToPath(new URL('../../../', import.meta.url));
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

/** Our server's binary. */
function serverBinary() {
  const binary = resolve(process.env.ROAR_BIN ?? join(repository, 'target/debug/roar-functions'));
  if (!existsSync(binary)) {
    throw new Error(`The server is missing: there is no ${binary}. Build it (cargo build), or name it in ROAR_BIN.`);
  }
  return binary;
}

async function startFirestore(port, functionsPort) {
  const emulator = start('firestore-emulator', 'java', [
    '-cp', firestoreJar(),
    'com.google.cloud.datastore.emulator.firestore.CloudFirestore',
    '--host', '127.0.0.1',
    '--port', String(port),
    // Where it delivers document events: no functions emulator stands between it and our server.
    '--functions_emulator', `127.0.0.1:${functionsPort}`,
    '--rules', join(repository, 'firestore.rules'),
  ]);
  await answers(`http://127.0.0.1:${port}/`, emulator);
  return emulator;
}

async function startAuth([port, hub, logging]) {
  const config = join(workDir, 'firebase.json');
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
    'auth-emulator',
    process.execPath,
    [cli, 'emulators:start', '--only', 'auth', '--project', ADMIN_PROJECT, '--config', config],
    // Its settings go to the work directory, not to the home of whoever runs the tests.
    { env: { XDG_CONFIG_HOME: workDir, NO_UPDATE_NOTIFIER: '1', CI: 'true' } },
  );
  await answers(`http://127.0.0.1:${port}/`, emulator);
  return emulator;
}

async function startServer(binary, port, env) {
  const server = start('roar-functions', binary, ['serve'], { env });
  await answers(`http://127.0.0.1:${port}/readyz`, server);
  run('roar-functions triggers install', binary, ['triggers', 'install'], { env });
  return server;
}

/**
 * Starts the emulators and, unless `server` is false, our server with its triggers installed.
 * `stop` ends them all; they also end with this process, however it ends.
 */
export async function startSuite({ server = true } = {}) {
  const binary = server && serverBinary(); // before anything is started
  const [functionsPort, firestorePort, ...authPorts] = await freePorts(5);
  const firestore = `127.0.0.1:${firestorePort}`;
  const auth = `127.0.0.1:${authPorts[0]}`;
  // Read by firebase-admin in this process too.
  process.env.FIRESTORE_EMULATOR_HOST = firestore;
  process.env.FIREBASE_AUTH_EMULATOR_HOST = auth;
  // firebase-admin would look for Google Cloud around it.
  process.env.METADATA_SERVER_DETECTION = 'none';

  const started = [];
  const stop = async () => {
    // Our server first: it has nothing to say once the emulators are gone.
    while (started.length > 0) await started.pop().stop();
  };
  try {
    const emulators = await Promise.allSettled([startFirestore(firestorePort, functionsPort), startAuth(authPorts)]);
    started.push(...emulators.filter((each) => each.status === 'fulfilled').map((each) => each.value));
    const failed = emulators.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
    if (server) {
      started.push(
        await startServer(binary, functionsPort, {
          ROAR_STORE: 'firestore',
          ROAR_LISTEN: `127.0.0.1:${functionsPort}`,
          ROAR_ADMIN_PROJECT: ADMIN_PROJECT,
          ROAR_ASSESSMENT_PROJECT: ASSESSMENT_PROJECT,
          FIRESTORE_EMULATOR_HOST: firestore,
          FIREBASE_AUTH_EMULATOR_HOST: auth,
          // A proxy of the machine has no part in talking to servers on it.
          NO_PROXY: '127.0.0.1,localhost',
          no_proxy: '127.0.0.1,localhost',
        }),
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { firestorePort, authPort: authPorts[0], functionsPort, stop };
}
