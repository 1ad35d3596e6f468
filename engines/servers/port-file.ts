/** The file that tells a script which ports a memcached has got: it may have asked for any (-p -1). */
import { appendFileSync, renameSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { systemText } from '../base/system-text.ts';

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
 * @param log is told where it cannot be written; the server runs on
 */
export function writePortFile(ports: readonly BoundPort[], log: (line: string) => void): void {
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
    log(`Failed to open "${unfinished}": ${systemText(error)}`);
  }
}
