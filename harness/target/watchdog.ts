/**
 * Entry of the watchdog process. It holds the reading end of a pipe whose writing end only the harness has: however the
 * harness ends (also by SIGKILL), the kernel closes the pipe, and the watchdog ends the servers that were started and
 * removes the temporary folder. It lives in a session of its own, so Ctrl-C in the terminal does not reach it.
 *
 * Lines it reads: `{"watch":pid,"startTime":"…"}`, `{"forget":pid}`, `{"folder":"…"}`.
 */
import { rmSync } from 'node:fs';
import { isAlive, killExactly } from './process-identity.ts';

const GRACE_MS = 1_500;
const POLL_MS = 25;

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
  };
  if (message.watch !== undefined) watched.set(message.watch, message.startTime ?? null);
  if (message.forget !== undefined) watched.delete(message.forget);
  if (message.folder !== undefined) folders.add(message.folder);
}

async function cleanUp(): Promise<void> {
  for (const [pid, startTime] of watched) killExactly(pid, startTime, 'SIGTERM');
  const deadline = Date.now() + GRACE_MS;
  while (Date.now() < deadline && [...watched].some(([pid, startTime]) => isAlive(pid, startTime))) {
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
