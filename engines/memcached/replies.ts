/** The fixed replies and words of the ASCII protocol, as bytes, and how bytes are compared with them. */

/** Latin-1 bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Whether `length` bytes at `at` are this word. */
export function equals(u8: Uint8Array, at: number, length: number, word: Uint8Array): boolean {
  if (word.length !== length) return false;
  for (let i = 0; i < length; i++) if (u8[at + i] !== word[i]) return false;
  return true;
}

export const END = bytesOf('END\r\n');
export const STORED = bytesOf('STORED\r\n');
export const NOT_STORED = bytesOf('NOT_STORED\r\n');
export const EXISTS = bytesOf('EXISTS\r\n');
export const NOT_FOUND = bytesOf('NOT_FOUND\r\n');
export const DELETED = bytesOf('DELETED\r\n');
export const TOUCHED = bytesOf('TOUCHED\r\n');
export const OK = bytesOf('OK\r\n');
export const ERROR = bytesOf('ERROR\r\n');
export const BAD_FORMAT = bytesOf('CLIENT_ERROR bad command line format\r\n');
export const BAD_LINE = bytesOf('CLIENT_ERROR bad command line\r\n');
export const BAD_EXPTIME = bytesOf('CLIENT_ERROR invalid exptime argument\r\n');
export const BAD_DELTA = bytesOf('CLIENT_ERROR invalid numeric delta argument\r\n');
export const BAD_DATA_CHUNK = bytesOf('CLIENT_ERROR bad data chunk\r\n');
export const NON_NUMERIC = bytesOf('CLIENT_ERROR cannot increment or decrement non-numeric value\r\n');
export const DELETE_USAGE = bytesOf('CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n');
export const TOO_LARGE = bytesOf('SERVER_ERROR object too large for cache\r\n');
export const OUT_OF_MEMORY = bytesOf('SERVER_ERROR out of memory\r\n');
export const OUT_OF_MEMORY_STORING = bytesOf('SERVER_ERROR out of memory storing object\r\n');
export const OUT_OF_MEMORY_READING = bytesOf('SERVER_ERROR Out of memory during read\r\n');

export const NOREPLY = bytesOf('noreply');
export const ZERO = bytesOf('0');
export const GET_SPACE = bytesOf('get ');
export const GETS_SPACE = bytesOf('gets ');
export const GET = bytesOf('get');
export const GETS = bytesOf('gets');
export const BGET = bytesOf('bget');
export const GAT = bytesOf('gat');
export const GATS = bytesOf('gats');
export const SET = bytesOf('set');
export const ADD = bytesOf('add');
export const REPLACE = bytesOf('replace');
export const APPEND = bytesOf('append');
export const PREPEND = bytesOf('prepend');
export const CAS = bytesOf('cas');
export const INCR = bytesOf('incr');
export const DECR = bytesOf('decr');
export const DELETE = bytesOf('delete');
export const TOUCH = bytesOf('touch');
