/** Writes and reads the kernel's socket addresses (struct sockaddr_in, _in6, _un) in a scratch area of the arena. */
import { isIPv4, isIPv6 } from 'node:net';
import type { Memory } from '../ports.ts';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
/** Room that any of the three needs. */
export const SOCKET_ADDRESS_BYTES = 128;
const UNIX_PATH_BYTES = 108;

/** Family of an IP literal ("localhost" stands for 127.0.0.1). @throws Error when it is no literal */
export function addressFamily(host: string): number {
  if (host === 'localhost' || isIPv4(host)) return AF_INET;
  if (isIPv6(host)) return AF_INET6;
  throw new Error(`Cannot use address "${host}": it is neither an IPv4 nor an IPv6 literal`);
}

/** @returns the length in bytes */
export function writeIpAddress(memory: Memory, offset: number, host: string, port: number): number {
  const u8 = memory.u8;
  const family = addressFamily(host);
  u8.fill(0, offset, offset + SOCKET_ADDRESS_BYTES);
  memory.view.setUint16(offset, family, true);
  u8[offset + 2] = port >>> 8;
  u8[offset + 3] = port & 255;
  if (family === AF_INET) {
    const bytes = (host === 'localhost' ? '127.0.0.1' : host).split('.').map(Number);
    for (let i = 0; i < 4; i++) u8[offset + 4 + i] = bytes[i]!;
    return 16;
  }
  const zone = host.indexOf('%');
  writeIpv6(u8, offset + 8, zone < 0 ? host : host.slice(0, zone));
  return 28;
}

function writeIpv6(u8: Uint8Array, offset: number, host: string): void {
  // The last four bytes may be written as an IPv4 address.
  const lastColon = host.lastIndexOf(':');
  if (host.includes('.')) {
    const [a, b, c, d] = host
      .slice(lastColon + 1)
      .split('.')
      .map(Number);
    host = `${host.slice(0, lastColon + 1)}${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;
  }
  const gap = host.indexOf('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(gap < 0 ? host : host.slice(0, gap));
  const back = gap < 0 ? [] : groups(host.slice(gap + 2));
  const put = (index: number, value: number): void => {
    u8[offset + index * 2] = value >>> 8;
    u8[offset + index * 2 + 1] = value & 255;
  };
  front.forEach((value, i) => {
    put(i, value);
  });
  back.forEach((value, i) => {
    put(8 - back.length + i, value);
  });
}

/** @returns the length in bytes. @throws Error when the path does not fit */
export function writeUnixAddress(memory: Memory, offset: number, path: string): number {
  const bytes = Buffer.from(path, 'utf8');
  if (bytes.length >= UNIX_PATH_BYTES) {
    throw new Error(`Cannot use Unix socket "${path}": the path has ${bytes.length} bytes, at most 107 fit`);
  }
  memory.view.setUint16(offset, AF_UNIX, true);
  memory.u8.set(bytes, offset + 2);
  memory.u8[offset + 2 + bytes.length] = 0;
  return 2 + bytes.length + 1;
}

/** The port in a sockaddr_in or _in6. */
export function readPort(memory: Memory, offset: number): number {
  return (memory.u8[offset + 2]! << 8) | memory.u8[offset + 3]!;
}

/** "127.0.0.1:6379" or "[::1]:6379", as the servers print it. */
export function readIpAddress(memory: Memory, offset: number): string {
  const family = memory.view.getUint16(offset, true);
  const port = readPort(memory, offset);
  if (family === AF_INET) {
    return `${Array.from(memory.u8.slice(offset + 4, offset + 8)).join('.')}:${port}`;
  }
  return `[${formatIpv6(memory, offset + 8)}]:${port}`;
}

function formatIpv6(memory: Memory, offset: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push((memory.u8[offset + i * 2]! << 8) | memory.u8[offset + i * 2 + 1]!);
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) return `::ffff:${Array.from(memory.u8.slice(offset + 12, offset + 16)).join('.')}`;
  // The longest run of at least two zero groups becomes "::".
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
  }
  const text = groups.map((group) => group.toString(16));
  if (best < 0) return text.join(':');
  return `${text.slice(0, best).join(':')}::${text.slice(best + bestLength).join(':')}`;
}
