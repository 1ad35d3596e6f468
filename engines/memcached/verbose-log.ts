/**
 * What -vv writes to the log as it goes: connections, commands and replies, and with -vvv lookups. The words are the original's, but the walk
 * through the states of its connections ("going from … to …") is left out: this core does not take it. Cold: asked for by
 * `logger.wants(LOG_VERBOSE)` first.
 */
import type { Core } from './core.ts';
import { GET_EXPIRED, GET_FLUSHED } from './logger.ts';
import { BINARY_HEADER_BYTES } from './protocol/binary.ts';

const NUKED: Readonly<Record<number, string>> = {
  [GET_FLUSHED]: ' -nuked by flush',
  [GET_EXPIRED]: ' -nuked by expire',
};
/** Bytes of a binary header in one line. */
const DUMP_BYTES_A_LINE = 4;

export class VerboseLog {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  #log(line: string): void {
    this.#core.hooks.log(line);
  }

  #fd(conn: number): number {
    return this.#core.connections.fd(conn);
  }

  #text(at: number, length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.#core.u8[at + i]!);
    return text;
  }

  opened(conn: number): void {
    const { protocol } = this.#core.settings;
    if (protocol === 'auto-negotiate') this.#log(`<${this.#fd(conn)} new auto-negotiating client connection`);
    else this.#log(`<${this.#fd(conn)} new ${protocol} client connection.`);
  }

  closed(conn: number): void {
    if (this.#core.watchers.has(conn)) this.#log(`<${this.#fd(conn)} connection closing from side thread.`);
    this.#log(`<${this.#fd(conn)} connection closed.`);
  }

  protocol(conn: number, isBinary: boolean): void {
    this.#log(`${this.#fd(conn)}: Client using the ${isBinary ? 'binary' : 'ascii'} protocol`);
  }

  /** A command line, without its end. */
  command(conn: number, at: number, end: number): void {
    const line = this.#text(at, end - at);
    const nul = line.indexOf('\0');
    this.#log(`<${this.#fd(conn)} ${nul < 0 ? line : line.slice(0, nul)}`);
  }

  /** A reply in one line. */
  reply(conn: number, bytes: Uint8Array, isSent = true): void {
    const line = String.fromCharCode(...bytes.subarray(0, bytes.length - 2));
    this.#log(`>${this.#fd(conn)} ${isSent ? '' : 'NOREPLY '}${line}`);
  }

  sendingKey(conn: number, keyAt: number, nkey: number): void {
    this.#log(`>${this.#fd(conn)} sending key ${this.#text(keyAt, nkey)}`);
  }

  /** -vvv. @param met GET_… of logger.ts */
  lookup(met: number, keyAt: number, nkey: number): void {
    const text = met === 0 ? 'NOT FOUND' : 'FOUND KEY';
    this.#log(`> ${text} ${this.#text(keyAt, nkey)}${NUKED[met] ?? ''}`);
  }

  /** The header of a binary request or response. */
  binaryHeader(conn: number, at: number, isRequest: boolean): void {
    const mark = `${isRequest ? '<' : '>'}${this.#fd(conn)}`;
    this.#log(isRequest ? `${mark} Read binary protocol data:` : `${mark} Writing bin response:`);
    for (let i = 0; i < BINARY_HEADER_BYTES; i += DUMP_BYTES_A_LINE) {
      let line = `${mark} ${isRequest ? ' ' : ''} `;
      for (let j = 0; j < DUMP_BYTES_A_LINE; j++) {
        line += ` 0x${this.#core.u8[at + i + j]!.toString(16).padStart(2, '0')}`;
      }
      this.#log(line);
    }
  }

  /** What a binary request is about: "GET a", "SET a Value len is 3". */
  binaryRequest(conn: number, verb: string, keyAt: number, nkey: number, tail: string): void {
    this.#log(`<${this.#fd(conn)} ${verb} ${this.#text(keyAt, nkey)}${tail}`);
  }
}
