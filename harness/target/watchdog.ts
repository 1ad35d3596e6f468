/**
 * Entry of the watchdog process. It holds the reading end of a pipe whose writing end only the harness has: however the
 * harness ends (also by SIGKILL), the kernel closes the pipe, and the watchdog ends the servers that were started and
 * removes the temporary folder. It lives in a session of its own, so Ctrl-C in the terminal does not reach it.
 *
 * Lines it reads: `{"watch":pid,"startTime":"…"}`, `{"forget":pid}`, `{"folder":"…"}`, `{"done":"…"}`.
 */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { isAlive, killExactly, processStartTime } from './process-identity.ts';

const GRACE_MS = 1_500;
const POLL_MS = 25;
/** A server that was being started when the harness died shows up within this time. */
const LATECOMER_MS = 300;

const watched = new Map<number, string | null>();
const folders = new Set<string>();
let buffered = '';

function onLine(line: string): void {
  if (line === '') return;
  const message = JSON.parse(line) as {
    watch?: number;
    startTime?: string | null;
    forget?: number;
    folder?: string;
    /** The run ended in order: the folder is gone and nothing runs in it. */
    done?: string;
  };
  if (message.watch !== undefined) watched.set(message.watch, message.startTime ?? null);
  if (message.forget !== undefined) watched.delete(message.forget);
  if (message.folder !== undefined) folders.add(message.folder);
  if (message.done !== undefined) folders.delete(message.done);
}

/**
 * The harness may die between starting a server and telling of it. Such a server is an orphan, so it has the parent that this
 * process has by now, and it runs in the folder of the run. Linux only.
 */
function findUntold(): void {
  let names: string[];
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return;
  }
  for (const name of names) {
    const pid = Number(name);
    if (pid === process.pid || watched.has(pid)) continue;
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      if (![...folders].some((folder) => cwd === folder || cwd.startsWith(`${folder}/`))) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) !== process.ppid) continue;
      const startTime = processStartTime(pid);
      watched.set(pid, startTime);
      killExactly(pid, startTime, 'SIGTERM');
    } catch {
      // It is not ours to look at, or has ended.
    }
  }
}

async function cleanUp(): Promise<void> {
  // The harness may still be about to vanish: our own parent changes at that moment.
  for (const [pid, startTime] of watched) killExactly(pid, startTime, 'SIGTERM');
  const start = Date.now();
  const anyLeft = (): boolean => [...watched].some(([pid, startTime]) => isAlive(pid, startTime));
  // A normal end has removed the folder's name from the list, so nothing is looked for then.
  while (Date.now() < start + (folders.size > 0 ? LATECOMER_MS : 0) || (anyLeft() && Date.now() < start + GRACE_MS)) {
    findUntold();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  for (const [pid, startTime] of watched) killExactly(pid, startTime, 'SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

// A service manager that stops the whole group must not take the watchdog before it has done its work.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text: string) => {
  buffered += text;
  for (let end = buffered.indexOf('\n'); end >= 0; end = buffered.indexOf('\n')) {
    onLine(buffered.slice(0, end));
    buffered = buffered.slice(end + 1);
  }
});
const finish = (): void => {
  cleanUp().finally(() => process.exit(0));
};
process.stdin.once('end', finish);
process.stdin.once('error', finish);
