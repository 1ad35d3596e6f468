/**
 * Servers in the background. A Node process cannot fork, so the command is started again, detached and without a terminal,
 * and the first process leaves once the second is ready (or has said why it is not).
 */
import { spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';

/** Set in the second process; also keeps a daemon from starting another. */
const MARK = 'CACHELAB_DAEMON';
/** Descriptor on which the second process reports. */
const REPORT_FD = 3;
const READY_TIMEOUT_MS = 10_000;

/** True in the process that `startDaemon` has started. */
export function isDaemon(): boolean {
  return process.env[MARK] === '1';
}

/** What became of the daemon. */
export interface DaemonStart {
  pid: number;
  /** Null: it is ready, or is still starting after 10 s. Else why it ended. */
  error: string | null;
}

/**
 * Starts this same command again in the background and waits until it calls `daemonReady`. The caller then exits: with 0,
 * or with 1 after printing `error`.
 * @param args command line after the executable; left out: this process's own
 */
export function startDaemon(
  args: readonly string[] = [...process.execArgv, ...process.argv.slice(1)],
): Promise<DaemonStart> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: { ...process.env, [MARK]: '1' },
    });
    const report = child.stdio[REPORT_FD] as NodeJS.ReadableStream & { destroy(): void };
    let text = '';
    let done = false;
    const finish = (error: string | null): void => {
      if (done) return;
      done = true;
      clearTimeout(timeout);
      report.destroy();
      child.unref();
      resolve({ pid: child.pid ?? 0, error });
    };
    const timeout = setTimeout(() => finish(null), READY_TIMEOUT_MS);
    child.once('error', (error) => {
      clearTimeout(timeout);
      reject(error);
    });
    child.once('exit', (code, signal) => finish(`the server ended at once (${signal ?? `exit code ${code}`})`));
    report.on('data', (data: Buffer) => {
      text += data.toString('utf8');
      if (text.endsWith('\n')) finish(text === 'ready\n' ? null : text.trimEnd());
    });
  });
}

/**
 * Tells the waiting process that the server is ready, or why it cannot start. Does nothing in a process that is no daemon,
 * and nothing the second time.
 * @param error one line; left out: ready
 */
export function daemonReady(error?: string): void {
  if (!isDaemon() || reported) return;
  reported = true;
  try {
    writeSync(REPORT_FD, `${error?.replaceAll('\n', ' ') ?? 'ready'}\n`);
    closeSync(REPORT_FD);
  } catch {
    // Whoever started us has gone: there is nobody left to tell.
  }
}

let reported = false;
