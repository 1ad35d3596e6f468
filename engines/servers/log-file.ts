/** Where a server's log lines go. */
import { closeSync, openSync, writeSync } from 'node:fs';

const STDOUT = 1;
/** A reader of our standard output that is slow may hold up a line this often before it is dropped. */
const MAX_RETRIES = 1000;

export interface LogFile {
  /** Appends text (with its newline). Never throws: a log that cannot be written must not stop the server. */
  write(text: string): void;
}

/**
 * @param path file to append to; empty: standard output. The file is opened for each line, as the original does, so that a
 *   log that was moved away by a rotating tool is started anew.
 */
export function createLogFile(path: string): LogFile {
  return {
    write(text) {
      const bytes = Buffer.from(text, 'utf8');
      if (path === '') {
        writeFully(STDOUT, bytes);
        return;
      }
      try {
        const fd = openSync(path, 'a');
        try {
          writeFully(fd, bytes);
        } finally {
          closeSync(fd);
        }
      } catch {
        // A full disk or a removed folder: the line is lost, the server lives.
      }
    },
  };
}

/** @throws Error when a file cannot be opened for appending: for the start, where a wrong path must be told */
export function checkLogFile(path: string): void {
  if (path !== '') closeSync(openSync(path, 'a'));
}

function writeFully(fd: number, bytes: Buffer): void {
  let at = 0;
  for (let retry = 0; at < bytes.length && retry < MAX_RETRIES; retry++) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // EAGAIN: a pipe whose reader is behind. Anything else (EPIPE …) will not get better.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}
