/** The scripts of EVAL, by their SHA-1. */
import { splitWords } from '../config-words.ts';
import { sha1 } from '../sha1.ts';
import { SCRIPT_FLAG_EVAL_COMPAT_MODE, scriptFlag } from './flags.ts';
import type { Scripting } from './scripting.ts';

export const SHA_HEX_BYTES = 40;
/** Bytes that a cached script's record takes beside its text: what the original counts for its own. */
const RECORD_BYTES = 24 + 40 + 16;
const LF = 10;
const PREFIX_DIGITS = 7;

export interface Script {
  readonly sha: string;
  readonly flags: number;
  handle: number;
  /** The text, in the arena. */
  readonly body: number;
  readonly length: number;
}

export class ScriptCache {
  private readonly scripting: Scripting;
  private readonly scripts = new Map<string, Script>();
  /** The text of the last EVAL: as a rule the next one has the same, and then no digest is computed. */
  private last: Script | null = null;
  /** Scripts that were seen lately, by a cheap hash of their text. */
  private readonly byHash = new Map<number, Script>();
  /** By the first digits of the digest. */
  private readonly byPrefix = new Map<number, Script>();
  bytes = 0;

  constructor(scripting: Scripting) {
    this.scripting = scripting;
  }

  get size(): number {
    return this.scripts.size;
  }

  get(sha: string): Script | null {
    return this.scripts.get(sha) ?? null;
  }

  /** By the hex digits at an offset, in any case. */
  getBytes(offset: number): Script | null {
    const u8 = this.scripting.core.heap.u8;
    const script = this.byPrefix.get(hexPrefix(u8, offset));
    if (script !== undefined && sameDigits(u8, offset, script.sha)) return script;
    return this.get(this.scripting.core.heap.latin1(offset, SHA_HEX_BYTES).toLowerCase());
  }

  /** The same for bytes that may be something else. */
  getIfDigest(offset: number, length: number): Script | null {
    return length === SHA_HEX_BYTES ? this.getBytes(offset) : null;
  }

  has(sha: string): boolean {
    return this.scripts.has(sha);
  }

  /**
   * Finds the script with the text in arena bytes, compiling it if it is new.
   * @returns the script, or the text of an error
   * @throws ARENA_EXHAUSTED
   */
  obtain(offset: number, length: number): Script | string {
    const heap = this.scripting.core.heap;
    const last = this.last;
    if (last !== null && last.length === length && heap.equal(last.body, offset, length)) return last;
    const hash = quickHash(heap.u8, offset, length);
    const known = this.byHash.get(hash);
    if (known !== undefined && known.length === length && heap.equal(known.body, offset, length)) {
      this.last = known;
      return known;
    }
    const sha = hex(sha1(heap.u8, offset, length));
    let script = this.scripts.get(sha);
    if (script === undefined) {
      const header = readShebang(heap.u8, offset, length);
      if (typeof header === 'string') return header;
      const problem = this.scripting.loadInterpreter();
      if (problem !== '') return problem;
      const handle = this.scripting.interpreter.compileScript(offset + header.skip, length - header.skip);
      if (handle === 0) return `Error compiling script (new function): ${this.scripting.interpreter.problem}`;
      const body = heap.alloc(Math.max(1, length));
      heap.copy(offset, body, length);
      script = { sha, flags: header.flags, handle, body, length };
      this.scripts.set(sha, script);
      this.byPrefix.set(Number.parseInt(sha.slice(0, PREFIX_DIGITS), 16), script);
      this.bytes += heap.usable(body) + RECORD_BYTES;
    }
    this.byHash.set(hash, script);
    this.last = script;
    return script;
  }

  flush(): void {
    this.forget();
    if (this.scripting.started) this.scripting.interpreter.flushScripts();
  }

  /** Forgets all scripts without telling the interpreter. */
  forget(): void {
    for (const script of this.scripts.values()) this.scripting.core.heap.free(script.body);
    this.scripts.clear();
    this.byHash.clear();
    this.byPrefix.clear();
    this.last = null;
    this.bytes = 0;
  }
}

/** The value of the first digits; whatever is no digit gives some number. */
function hexPrefix(u8: Uint8Array, offset: number): number {
  let value = 0;
  for (let i = 0; i < PREFIX_DIGITS; i++) {
    const byte = u8[offset + i] | 0x20;
    value = value * 16 + (byte >= 97 ? byte - 87 : byte - 48);
  }
  return value;
}

function sameDigits(u8: Uint8Array, offset: number, sha: string): boolean {
  for (let i = 0; i < SHA_HEX_BYTES; i++) if ((u8[offset + i] | 0x20) !== sha.charCodeAt(i)) return false;
  return true;
}

function quickHash(u8: Uint8Array, offset: number, length: number): number {
  let h = length;
  const step = length <= 64 ? 1 : length >> 6;
  for (let i = 0; i < length; i += step) h = Math.imul(h ^ u8[offset + i], 0x01000193);
  return h;
}

export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** What the text of a script says of itself; as an undeclared script where it is wrong. */
export function declaredFlags(u8: Uint8Array, offset: number, length: number): number {
  const header = readShebang(u8, offset, length);
  return typeof header === 'string' ? SCRIPT_FLAG_EVAL_COMPAT_MODE : header.flags;
}

const UNDECLARED = { flags: SCRIPT_FLAG_EVAL_COMPAT_MODE, skip: 0 };

/** Reads "#!lua flags=…". @returns how many bytes of the text it takes (without its line end), or an error's text */
function readShebang(u8: Uint8Array, offset: number, length: number): { flags: number; skip: number } | string {
  if (length < 2 || u8[offset] !== 35 || u8[offset + 1] !== 33) return UNDECLARED;
  const end = u8.indexOf(LF, offset);
  if (end < 0 || end >= offset + length) return 'Invalid script shebang';
  let line = '';
  for (let i = offset; i < end; i++) line += String.fromCharCode(u8[i]);
  const parts = splitWords(line);
  if (parts === null || parts.length === 0) return 'Invalid engine in script shebang';
  const [engine, ...words] = parts;
  if (engine !== '#!lua') return `Unexpected engine in script shebang: ${engine}`;
  let flags = 0;
  for (const word of words) {
    if (!word.startsWith('flags=')) return `Unknown lua shebang option: ${word}`;
    const list = word.slice('flags='.length);
    for (const name of list === '' ? [] : list.split(',')) {
      const bit = scriptFlag(name);
      if (bit === 0) return `Unexpected flag in script shebang: ${name}`;
      flags |= bit;
    }
  }
  return { flags, skip: end - offset };
}
