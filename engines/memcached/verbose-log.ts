/**
 * What -vv writes to the log as it goes: connections, commands and replies, and with -vvv lookups. The words are the original's, but the walk
 * through the states of its connections ("going from … to …") is left out: this core does not take it. Cold: asked for by
 * `logger.wants(LOG_VERBOSE)` first.
 */
import type { Core } from './core.ts';
import { GET_EXPIRED, GET_FLUSHED } from './logger.ts';
import * as B from './protocol/binary.ts';

const NUKED: Readonly<Record<number, string>> = {
  [GET_FLUSHED]: ' -nuked by flush',
  [GET_EXPIRED]: ' -nuked by expire',
};
/** What the original calls binary requests, by opcode. */
const VERBS: Readonly<Record<number, string>> = {
  [B.OP_GET]: 'GET',
  [B.OP_GETQ]: 'GET',
  [B.OP_GETK]: 'GET',
  [B.OP_GETKQ]: 'GET',
  [B.OP_TOUCH]: 'TOUCH',
  [B.OP_GAT]: 'TOUCH',
  [B.OP_GATQ]: 'TOUCH',
  [B.OP_GATK]: 'TOUCH',
  [B.OP_GATKQ]: 'TOUCH',
  [B.OP_SET]: 'SET',
  [B.OP_SETQ]: 'SET',
  [B.OP_ADD]: 'ADD',
  [B.OP_ADDQ]: 'ADD',
  [B.OP_REPLACE]: 'REPLACE',
  [B.OP_REPLACEQ]: 'REPLACE',
  [B.OP_APPEND]: 'Value',
  [B.OP_APPENDQ]: 'Value',
  [B.OP_PREPEND]: 'Value',
  [B.OP_PREPENDQ]: 'Value',
  [B.OP_DELETE]: 'Deleting',
  [B.OP_DELETEQ]: 'Deleting',
  [B.OP_INCREMENT]: 'incr',
  [B.OP_INCREMENTQ]: 'incr',
  [B.OP_DECREMENT]: 'incr',
  [B.OP_DECREMENTQ]: 'incr',
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
    return this.#core.connections.table.fd(conn);
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

  /** A binary request, its key all there: the header in hexadecimal, then what it asks for. */
  binaryRequest(conn: number, at: number): void {
    const { u8 } = this.#core;
    this.#log(`<${this.#fd(conn)} Read binary protocol data:`);
    this.#dump(`<${this.#fd(conn)}   `, at);
    const view = this.#core.memory.view;
    const nkey = view.getUint16(at + 2);
    const extras = at + B.BINARY_HEADER_BYTES;
    const valueBytes = view.getUint32(at + 8) - nkey - u8[at + 4]!;
    const key = this.#text(extras + u8[at + 4]!, nkey);
    const verb = VERBS[u8[at + 1]!];
    switch (verb) {
      case undefined:
        break;
      case 'GET':
      case 'TOUCH':
        this.#log(`<${this.#fd(conn)} ${verb} ${key}`);
        break;
      case 'Value':
        this.#log(`Value len is ${valueBytes}`);
        break;
      case 'Deleting':
        this.#log(`Deleting ${key}`);
        break;
      case 'incr': {
        if (u8[at + 4] !== 20) break;
        const [delta, initial] = [view.getBigUint64(extras), view.getBigUint64(extras + 8)];
        this.#log(`${verb} ${key} ${delta}, ${initial}, ${view.getUint32(extras + 16)}`);
        break;
      }
      default:
        this.#log(`<${this.#fd(conn)} ${verb} ${key} Value len is ${valueBytes}`);
    }
  }

  /** The header of a binary response. */
  binaryReply(conn: number, at: number): void {
    this.#log(`>${this.#fd(conn)} Writing bin response:`);
    this.#dump(`>${this.#fd(conn)}  `, at);
  }

  binaryError(conn: number, text: Uint8Array): void {
    this.#log(`>${this.#fd(conn)} Writing an error: ${String.fromCharCode(...text)}`);
  }

  #dump(mark: string, at: number): void {
    for (let i = 0; i < B.BINARY_HEADER_BYTES; i += DUMP_BYTES_A_LINE) {
      let line = mark;
      for (let j = 0; j < DUMP_BYTES_A_LINE; j++) {
        line += ` 0x${this.#core.u8[at + i + j]!.toString(16).padStart(2, '0')}`;
      }
      this.#log(line);
    }
  }
}
