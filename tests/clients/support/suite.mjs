// The servers that a test needs: Google's Firestore emulator, Firebase's Auth emulators, and ours.

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { cleverSettings, startClever } from './clever.mjs';
import { startAuth, startFirestore, startTasks } from './emulators.mjs';
import { startFront } from './front.mjs';
import { answers, freePorts, logOf, run, start } from './processes.mjs';
import { ADMIN_PROJECT, ASSESSMENT_PROJECT, repository } from './projects.mjs';
import { checkLog } from './secrets.mjs';

/** Our server's binary. */
function serverBinary() {
  const binary = resolve(process.env.ROAR_BIN ?? join(repository, 'target/debug/roar-functions'));
  if (!existsSync(binary)) {
    throw new Error(`The server is missing: there is no ${binary}. Build it (cargo build), or name it in ROAR_BIN.`);
  }
  return binary;
}

async function startServer(binary, port, env) {
  const server = start('roar-functions', binary, ['serve'], { env });
  await answers(`http://127.0.0.1:${port}/readyz`, server);
  run('roar-functions triggers install', binary, ['triggers', 'install'], { env });
  return server;
}

/**
 * Several servers of one Firestore behind one address, which Cloud Tasks tells of tasks. The front goes on to the next
 * one that answers. `kill(i)` ends one of them at once, as a crash does.
 */
async function startInstances(binary, count, frontPort, env) {
  const ports = await freePorts(count);
  const servers = ports.map((port, i) =>
    start(i === 0 ? 'roar-functions' : `roar-functions-${i}`, binary, ['serve'], {
      env: { ...env, ROAR_LISTEN: `127.0.0.1:${port}` },
    }),
  );
  let next = 0;
  const dead = new Set();
  const front = await startFront('instances', frontPort, () => {
    do next = (next + 1) % count; while (dead.has(next));
    return { port: ports[next] };
  });
  await Promise.all(ports.map((port, i) => answers(`http://127.0.0.1:${port}/readyz`, servers[i])));
  run('roar-functions queues install', binary, ['queues', 'install'], { env });
  run('roar-functions triggers install', binary, ['triggers', 'install'], { env });
  return {
    ports,
    kill(i) {
      dead.add(i);
      servers[i].kill();
    },
    async stop() {
      await front.stop();
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/**
 * The accounts of several projects behind one address, for those who have only one: our server and
 * firebase-admin name the project in the path. Whoever names none is served by the admin project.
 */
function startAuthFront(port, ports) {
  return startFront('auth-front', port, ({ url }) => {
    const project = /\/projects\/([^/]+)\//.exec(url)?.[1] ?? ADMIN_PROJECT;
    if (ports[project] === undefined) return { status: 404, json: { error: `No emulator has the accounts of ${project}.` } };
    return { port: ports[project] };
  });
}

/** All, or nothing: what has been started is in `started` either way. */
async function startAll(started, starting) {
  const results = await Promise.allSettled(starting);
  started.push(...results.filter((each) => each.status === 'fulfilled').map((each) => each.value));
  const failed = results.find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
}

/**
 * Starts the emulators and, unless `server` is false, our server with its triggers installed. People have
 * accounts in the admin project; with `bothProjects`, in the assessment project too. `clever` are the arguments of a
 * made-up Clever that our server asks. With more than one of `instances`, Cloud Tasks tells them of tasks.
 * `stop` ends them all; they also end with this process, however it ends.
 */
export async function startSuite({ server = true, bothProjects = false, clever, instances = 1 } = {}) {
  const binary = server && serverBinary(); // before anything is started
  const projects = bothProjects ? [ADMIN_PROJECT, ASSESSMENT_PROJECT] : [ADMIN_PROJECT];
  const [functionsPort, firestorePort, frontPort, cleverPort, tasksPort, ...rest] = await freePorts(5 + 3 * projects.length);
  const portsOf = Object.fromEntries(projects.map((project, i) => [project, rest.slice(3 * i, 3 * i + 3)]));
  const authPorts = Object.fromEntries(projects.map((project) => [project, portsOf[project][0]]));
  const authPort = bothProjects ? frontPort : authPorts[ADMIN_PROJECT];

  const started = [];
  const stop = async () => {
    // Our server first: it has nothing to say once the emulators are gone.
    while (started.length > 0) await started.pop().stop();
    if (server) checkLog(logOf('roar-functions'));
  };
  try {
    await startAll(started, [
      startFirestore(firestorePort, functionsPort),
      ...projects.map((project) => startAuth(project, portsOf[project])),
      ...(bothProjects ? [startAuthFront(authPort, authPorts)] : []),
      ...(clever ? [startClever(binary, cleverPort, clever)] : []),
      ...(instances > 1 ? [startTasks(tasksPort)] : []),
    ]);
    const emulators = {
      FIRESTORE_EMULATOR_HOST: `127.0.0.1:${firestorePort}`,
      FIREBASE_AUTH_EMULATOR_HOST: `127.0.0.1:${authPort}`,
    };
    // Read by firebase-admin in this process too, which would look for Google Cloud around it.
    Object.assign(process.env, emulators, { METADATA_SERVER_DETECTION: 'none' });
    let several;
    if (server) {
      const env = {
          ...emulators,
          // Everything that it could ever say; `stop` looks for what it must not.
          ROAR_LOG: 'trace',
          ROAR_STORE: 'firestore',
          ROAR_LISTEN: `127.0.0.1:${functionsPort}`,
          ROAR_ADMIN_PROJECT: ADMIN_PROJECT,
          ROAR_ASSESSMENT_PROJECT: ASSESSMENT_PROJECT,
          ...(clever && cleverSettings(cleverPort)),
          // A proxy of the machine has no part in talking to servers on it.
          NO_PROXY: '127.0.0.1,localhost',
          no_proxy: '127.0.0.1,localhost',
          ...(instances > 1 && {
            ROAR_TASKS: 'cloud',
            ROAR_TASKS_LOCATION: `projects/${ADMIN_PROJECT}/locations/us-central1`,
            ROAR_TASKS_TARGET: `http://127.0.0.1:${functionsPort}`,
            // Who dies between a commit and its word isn't missed for long.
            ROAR_TASKS_SWEEP: '3',
            CLOUD_TASKS_EMULATOR_HOST: `127.0.0.1:${tasksPort}`,
          }),
      };
      if (instances > 1) several = await startInstances(binary, instances, functionsPort, env);
      started.push(several ?? (await startServer(binary, functionsPort, env)));
    }
    return { firestorePort, authPort, authPorts, functionsPort, cleverPort, instances: several, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
