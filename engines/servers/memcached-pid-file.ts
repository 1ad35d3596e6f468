/** -P: the file with the server's process id, written as memcached writes it. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { systemText } from '../base/system-text.ts';
import { strictUnsigned } from './c-numbers.ts';

/**
 * Writes this process's id and a newline, by way of a second file: nobody shall find it empty.
 * @param log is told of a running process that the file has named, and of failures, after which the server runs on
 */
export function writeMemcachedPidFile(path: string, log: (line: string) => void): void {
  const running = runningProcess(path);
  if (running !== null) log(`WARNING: The pid file contained the following (running) pid: ${running}`);
  const unfinished = `${path}.tmp`;
  try {
    writeFileSync(unfinished, `${process.pid}\n`);
  } catch (error) {
    log(`Could not open the pid file ${unfinished} for writing: ${systemText(error)}`);
    return;
  }
  try {
    renameSync(unfinished, path);
  } catch (error) {
    log(`Could not rename the pid file from ${unfinished} to ${path}: ${systemText(error)}`);
  }
}

function runningProcess(path: string): number | null {
  try {
    const pid = strictUnsigned(readFileSync(path, 'latin1').split('\n')[0]!);
    if (pid === null) return null;
    // Process 0 stands for our own group in the original's question, which is always there.
    process.kill(pid, 0);
    return pid;
  } catch {
    // There is no such file, or no such process, or it is another user's.
    return null;
  }
}
