/** The file that tells a script which ports a memcached has got: it may have asked for any (-p -1). */
import { appendFileSync, renameSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { EX_FAILURE, OptionError } from './option-error.ts';

/** Names the file. */
const VARIABLE = 'MEMCACHED_PORT_FILENAME';

export interface BoundPort {
  transport: 'TCP' | 'UDP';
  /** An IP address. */
  address: string;
  port: number;
}

/**
 * Writes the ports into the file that the environment names, if it does. The file is there only when it is whole.
 * @throws OptionError where it cannot be written
 */
export function writePortFile(ports: readonly BoundPort[]): void {
  const path = process.env[VARIABLE];
  if (path === undefined || path === '') return;
  const lines = ports.map(
    ({ transport, address, port }) => `${transport} ${isIPv6(address) ? 'INET6' : 'INET'}: ${port}\n`,
  );
  const unfinished = `${path}.lck`;
  try {
    appendFileSync(unfinished, lines.join(''));
    renameSync(unfinished, path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'No such file or directory' : code === 'EACCES' ? 'Permission denied' : message;
    throw new OptionError(`Failed to open "${unfinished}": ${reason}`, EX_FAILURE);
  }
}
