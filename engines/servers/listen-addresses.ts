/** The addresses of memcached's `-l`, cut as its server_sockets() cuts them. */
import type { Settings } from '../memcached/settings.ts';
import { strictSigned } from './c-numbers.ts';
import { EX_OSERR, OptionError } from './option-error.ts';

/** The host of all addresses of the machine, of both kinds. */
export const EVERYWHERE = '*';

const TAG_MAX = 8;
const PORT_MAX = 0xffff;

export interface ListenAddress {
  /** A name or an address; EVERYWHERE. An empty one is nobody's name. */
  host: string;
  /** TCP and UDP port; 0: the system chooses. */
  port: number;
  /** Given with `proto[…]:`, for this listener alone; null: that of -B. */
  protocol: Settings['protocol'] | null;
}

/**
 * @param inter what -l was given, its repetitions joined by commas
 * @param port for those that name none
 * @throws OptionError with the original's words
 */
export function parseListenAddresses(inter: string, port: number): ListenAddress[] {
  const refuse = (text: string): never => {
    throw new OptionError(`${text}failed to listen on one of interface(s) ${inter}: Success`, EX_OSERR);
  };
  return inter
    .split(/[,;]/)
    .filter((part) => part !== '')
    .map((part) => parseOne(part, port, refuse));
}

function parseOne(part: string, defaultPort: number, refuse: (text: string) => never): ListenAddress {
  let rest = part;
  let protocol: ListenAddress['protocol'] = null;
  if (rest.startsWith('notls')) refuse("'notls' option is valid only when SSL is enabled\n");
  if (rest.startsWith('proto[')) {
    const end = rest.indexOf(']');
    if (end < 0) refuse(`Invalid protocol spec: "${rest.slice('proto'.length)}"\n`);
    protocol = listenerProtocol(rest.slice('proto['.length, end), refuse);
    rest = rest.slice(end + 2);
  }
  if (rest.startsWith('tag[')) {
    const end = rest.indexOf(']');
    if (end < 0) refuse(`Invalid tag in socket config: "${rest.slice('tag'.length)}"\n`);
    const tag = rest.slice('tag['.length, end);
    if (tag.length < 1 || tag.length > TAG_MAX) {
      refuse(`Listener tags must be between 1 and 8 characters: "${tag}"\n`);
    }
    rest = rest.slice(end + 2);
  }
  let host: string | null = null;
  if (rest.startsWith('[')) {
    const end = rest.indexOf(']');
    if (end < 0) refuse(`Invalid IPV6 address: "${rest}"`);
    host = rest.slice(1, end);
    rest = rest.slice(end + 1);
  }
  const colon = rest.indexOf(':');
  let port = defaultPort;
  // More than one colon is an IPv6 address without brackets and without a port.
  if (colon >= 0 && (host !== null || rest.indexOf(':', colon + 1) < 0)) {
    const digits = rest.slice(colon + 1);
    port = strictSigned(digits) ?? refuse(`Invalid port number: "${digits}"\n`);
    rest = rest.slice(0, colon);
  }
  host ??= rest;
  return {
    host,
    // -1 asks for any port; other numbers are cut to 16 bits as the system does it.
    port: port === -1 ? 0 : port & PORT_MAX,
    protocol,
  };
}

function listenerProtocol(name: string, refuse: (text: string) => never): ListenAddress['protocol'] {
  // As strncmp with the given length: the start of a name will do.
  if ('ascii'.startsWith(name)) return 'ascii';
  if ('binary'.startsWith(name)) return 'binary';
  if ('negotiating'.startsWith(name)) return 'auto-negotiate';
  if ('proxy'.startsWith(name)) refuse(`Server not built with proxy: "proto[${name}"\n`);
  return null;
}
