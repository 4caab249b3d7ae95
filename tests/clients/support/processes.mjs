// Child processes that never outlive the test run, and waiting with deadlines.

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Logs and configuration of this run; removed at the end unless something failed. */
export const workDir = mkdtempSync(join(tmpdir(), 'roar-clients-'));

/** Where a server's output goes. */
export const logOf = (name) => join(workDir, `${name}.log`);

const running = new Set();

// The last resort: on any way out, what still runs is killed, with all its children.
process.on('exit', (code) => {
  for (const child of running) killGroup(child, 'SIGKILL');
  if (code === 0) rmSync(workDir, { recursive: true, force: true });
  else console.error(`The servers' logs are in ${workDir}`);
});
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
  process.on(signal, () => process.exit(128 + number));
}

function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It's gone already.
  }
}

/**
 * Starts a server in a process group of its own, its output in a log file.
 * `check()` throws, with the end of the log, once the process has ended.
 */
export function start(name, command, args, { env = {}, cwd = workDir } = {}) {
  const logFile = logOf(name);
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  running.add(child);
  let ended;
  const exited = new Promise((resolve) => {
    const end = (how) => {
      ended = how;
      running.delete(child);
      resolve();
    };
    child.on('error', (error) => end(`could not be started: ${error.message}`));
    child.on('exit', (code, signal) => end(`ended with ${signal ?? `exit code ${code}`}`));
  });
  return {
    name,
    check() {
      if (ended) throw new Fatal(`${name} ${ended}. The end of its log:\n${tail(logFile)}`);
    },
    /** Ends it at once, as a crash does. */
    kill() {
      killGroup(child, 'SIGKILL');
    },
    async stop() {
      if (ended) return;
      killGroup(child, 'SIGTERM');
      const force = setTimeout(() => killGroup(child, 'SIGKILL'), 5_000);
      await exited;
      clearTimeout(force);
      killGroup(child, 'SIGKILL'); // whatever it left behind
    },
  };
}

/** Runs a command to its end; throws with its output when it fails. */
export function run(name, command, args, { env = {} } = {}) {
  const result = spawnSync(command, args, { env: { ...process.env, ...env }, encoding: 'utf8', timeout: 60_000 });
  if (result.error) throw new Error(`${name} could not be run: ${result.error.message}`);
  if (result.status !== 0) {
    throw new Error(`${name} ended with ${result.signal ?? `exit code ${result.status}`}:\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

function tail(file) {
  return readFileSync(file, 'utf8').split('\n').slice(-40).join('\n');
}

/** Free ports, all different. */
export async function freePorts(count) {
  // All are held at once, so that no two are the same.
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer();
          server.on('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** An error that waiting can't mend. */
export class Fatal extends Error {}

/**
 * Calls `probe` until it no longer throws, and returns its value. After the deadline it throws
 * what `probe` threw last, so that a failed wait says what was still different.
 */
export async function eventually(what, probe, { deadline = 60_000, pause = 100 } = {}) {
  const end = Date.now() + deadline;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (error instanceof Fatal) throw error;
      if (Date.now() > end) {
        throw new Error(`Not within ${deadline / 1000} s: ${what}\n${error.message}`, { cause: error });
      }
    }
    await delay(pause);
  }
}

/** Waits until the URL answers 200. */
export function answers(url, process) {
  return eventually(
    `${process.name} answers at ${url}`,
    async () => {
      process.check();
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`${url} answers ${response.status}`);
    },
    { deadline: 90_000 },
  );
}
