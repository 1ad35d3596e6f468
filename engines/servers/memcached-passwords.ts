/** The password files of -Y and -S: read at the start, and again on SIGHUP; that of -S also when it has changed. */
import { readFileSync, statSync } from 'node:fs';
import type { EventLoop } from '../io/event-loop.ts';
import type { Core } from '../memcached/core.ts';
import { readAuthFile } from '../memcached/credentials.ts';
import type { Settings } from '../memcached/settings.ts';
import { OptionError } from './option-error.ts';

/** Names the password file for SASL, as where the original is built with one. */
const PASSWORD_FILE_VARIABLE = 'MEMCACHED_SASL_PWDB';

/** The original reads its file at each login; here it is looked at so often whether it is another one. */
const FOLLOW_MS = 1_000;

const ERROR_TEXTS: Record<string, string> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
};

/**
 * Reads what `-Y` or `-S` wants into `settings.passwords`.
 * @param log gets warnings
 * @throws OptionError when the file of -Y cannot be read or is malformed
 */
export function readPasswords(settings: Settings, log: (line: string) => void): void {
  if (settings.authFile !== null) {
    settings.passwords = readAuthText(settings.authFile);
    return;
  }
  if (!settings.sasl) return;
  const text = readSaslText(log);
  if (text === null && process.env[PASSWORD_FILE_VARIABLE] === undefined) {
    log(`WARNING: ${PASSWORD_FILE_VARIABLE} names no password file: no client can authenticate.`);
  }
  settings.passwords = text ?? '';
}

/** Reads the file again. What cannot be read or is malformed leaves the old passwords in force. */
export function rereadPasswords(core: Core, log: (line: string) => void): void {
  const { settings } = core;
  if (settings.authFile !== null) {
    try {
      core.credentials.set(readAuthText(settings.authFile));
    } catch (error) {
      log((error as Error).message);
    }
  } else if (settings.sasl) {
    const text = readSaslText(log);
    if (text !== null) core.credentials.set(text);
  }
}

/** Reads the password file for SASL again whenever it has changed. To be called once, for the thread that runs the background work. */
export function followPasswordFile(core: Core, loop: EventLoop, log: (line: string) => void): void {
  const path = process.env[PASSWORD_FILE_VARIABLE];
  if (!core.settings.sasl || path === undefined) return;
  let known = identityOf(path);
  loop.addTimer(FOLLOW_MS, () => {
    const identity = identityOf(path);
    if (identity !== known && identity !== '') rereadPasswords(core, log);
    known = identity;
    return FOLLOW_MS;
  });
}

/** What tells one state of a file from another; empty: it is not there, or out of reach. */
function identityOf(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch {
    return '';
  }
}

function readAuthText(path: string): string {
  const bytes = readBytes(path);
  if (typeof bytes === 'string') {
    throw new OptionError(`Could not open authfile [${path}] for reading, error ${bytes}: ${bytes}`, 1);
  }
  if (readAuthFile(bytes) === null) {
    throw new OptionError(`Authfile [${path}] has a malformed entry. Should be 'user:password'`, 1);
  }
  return bytes.toString('latin1');
}

/** One character a byte; null when it cannot be read. */
function readSaslText(log: (line: string) => void): string | null {
  const path = process.env[PASSWORD_FILE_VARIABLE];
  if (path === undefined) return null;
  const bytes = readBytes(path);
  if (typeof bytes !== 'string') return bytes.toString('latin1');
  log(`WARNING: Failed to open sasl database <${path}>: ${bytes}`);
  return null;
}

/** @returns a file's bytes, or why it cannot be read */
function readBytes(path: string): Buffer | string {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return ERROR_TEXTS[code ?? ''] ?? message;
  }
}
