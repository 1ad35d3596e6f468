/** JSON as Lua values. What is accepted and how errors read follows lua-cjson 2.1.0. */
import { ByteBuffer } from './byte-buffer.ts';
import type { LuaMachine, LuaState } from './machine.ts';

type Token =
  | 'T_OBJ_BEGIN'
  | 'T_OBJ_END'
  | 'T_ARR_BEGIN'
  | 'T_ARR_END'
  | 'T_STRING'
  | 'T_NUMBER'
  | 'T_BOOLEAN'
  | 'T_NULL'
  | 'T_COLON'
  | 'T_COMMA'
  | 'T_END'
  | 'T_ERROR';

const PUNCTUATION: Readonly<Record<number, Token>> = {
  0: 'T_END',
  123: 'T_OBJ_BEGIN',
  125: 'T_OBJ_END',
  91: 'T_ARR_BEGIN',
  93: 'T_ARR_END',
  58: 'T_COLON',
  44: 'T_COMMA',
};
const QUOTE = 34;
const BACKSLASH = 92;
const MINUS = 45;
/** What follows a backslash, by its code. */
const ESCAPED: Readonly<Record<number, number>> = {
  34: 34,
  47: 47,
  92: 92,
  98: 8,
  102: 12,
  110: 10,
  114: 13,
  116: 9,
};

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
/** What C's strtod takes, from the start of a text. */
const STRTOD =
  /^[+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan(?:\([A-Za-z0-9_]*\))?)/i;
/** A number is no longer than this as a rule; longer ones are looked at whole. */
const NUMBER_CHARS = 64;

/** The value of a text that STRTOD has matched. */
function strtod(text: string): number {
  const negative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '').toLowerCase();
  let value: number;
  if (body.startsWith('inf')) value = Number.POSITIVE_INFINITY;
  else if (body.startsWith('nan')) value = Number.NaN;
  else if (body.startsWith('0x')) {
    const [mantissa, exponent] = body.slice(2).split('p');
    const [whole, fraction = ''] = mantissa!.split('.');
    value = Number.parseInt(`${whole}${fraction}` || '0', 16) * 2 ** (Number(exponent ?? 0) - 4 * fraction.length);
  } else value = Number(body);
  return negative ? -value : value;
}

export class JsonParser {
  private readonly machine: LuaMachine;
  private readonly text = new ByteBuffer();
  private data: Uint8Array = new Uint8Array(0);
  private at = 0;
  private maxDepth = 0;
  private allowInvalid = true;
  // The present token.
  private index = 0;
  private number = 0;
  private problem = '';

  constructor(machine: LuaMachine) {
    this.machine = machine;
  }

  /** Pushes the value of a document, or raises an error. */
  parse(L: LuaState, data: Uint8Array, maxDepth: number, allowInvalid: boolean): void {
    this.data = data;
    this.at = 0;
    this.maxDepth = maxDepth;
    this.allowInvalid = allowInvalid;
    if (data.length >= 2 && (data[0] === 0 || data[1] === 0)) {
      this.machine.raise(L, 'JSON parser does not support UTF-16 or UTF-32');
    }
    this.value(L, this.next(), 0);
    const end = this.next();
    if (end !== 'T_END') this.fail(L, 'the end', end);
    this.data = new Uint8Array(0);
  }

  /** The byte at a position; 0 beyond the end, as C strings end. */
  private byte(at: number): number {
    return at < this.data.length ? this.data[at]! : 0;
  }

  private fail(L: LuaState, expected: string, found: Token): never {
    const what = found === 'T_ERROR' ? this.problem : found;
    return this.machine.raise(L, `Expected ${expected} but found ${what} at character ${this.index + 1}`);
  }

  private error(text: string, at: number): Token {
    this.problem = text;
    this.index = at;
    return 'T_ERROR';
  }

  /** Reads a token. */
  private next(): Token {
    let c = this.byte(this.at);
    while (c === 32 || c === 9 || c === 10 || c === 13) c = this.byte(++this.at);
    this.index = this.at;
    const simple = PUNCTUATION[c];
    if (simple !== undefined) {
      if (simple !== 'T_END') this.at++;
      return simple;
    }
    if (c === QUOTE) return this.string();
    if (c === MINUS || isDigit(c)) {
      if (!this.allowInvalid && this.isInvalidNumber()) return this.error('invalid number', this.at);
      return this.readNumber();
    }
    if (this.isWord('true')) {
      this.number = 1;
      return 'T_BOOLEAN';
    }
    if (this.isWord('false')) {
      this.number = 0;
      return 'T_BOOLEAN';
    }
    if (this.isWord('null')) return 'T_NULL';
    // Only these letters can begin a number.
    if (this.allowInvalid && (c === 43 || 'iInN'.includes(String.fromCharCode(c))) && this.isInvalidNumber()) {
      return this.readNumber();
    }
    return this.error('invalid token', this.at);
  }

  /** Steps over a word if it stands here. */
  private isWord(word: string): boolean {
    for (let i = 0; i < word.length; i++) if (this.byte(this.at + i) !== word.charCodeAt(i)) return false;
    this.at += word.length;
    return true;
  }

  /** Whether strtod would take what JSON does not allow: +1, 0x1, 012, inf, nan. */
  private isInvalidNumber(): boolean {
    let at = this.at;
    if (this.byte(at) === 43) return true;
    if (this.byte(at) === MINUS) at++;
    if (this.byte(at) === 48) {
      const second = this.byte(at + 1);
      return (second | 0x20) === 120 || isDigit(second);
    }
    if (this.byte(at) <= 57) return false;
    const word = String.fromCharCode(this.byte(at), this.byte(at + 1), this.byte(at + 2)).toLowerCase();
    return word === 'inf' || word === 'nan';
  }

  private readNumber(): Token {
    const { data, at } = this;
    // Plain integers, which most numbers are.
    let end = at;
    const negative = data[end] === MINUS;
    if (negative) end++;
    const first = end;
    let value = 0;
    while (end < data.length && isDigit(data[end]!)) value = value * 10 + data[end++]! - 48;
    const follows = this.byte(end) | 0x20;
    if (end > first && end - first <= 15 && this.byte(end) !== 46 && follows !== 101 && follows !== 120) {
      this.number = negative ? -value : value;
      this.at = end;
      return 'T_NUMBER';
    }
    let text = String.fromCharCode(...data.subarray(at, at + NUMBER_CHARS));
    if (/^[+-]?[0-9a-zA-Z.+-]+$/.test(text)) {
      let last = at;
      while (last < data.length && /[0-9a-zA-Z.+()_-]/.test(String.fromCharCode(data[last]!))) last++;
      text = Buffer.from(data.buffer, data.byteOffset + at, last - at).toString('latin1');
    }
    const match = STRTOD.exec(text);
    if (match === null) return this.error('invalid number', at);
    this.number = strtod(match[0]);
    this.at = at + match[0].length;
    return 'T_NUMBER';
  }

  /** Reads a string into `text`. */
  private string(): Token {
    const { data, text } = this;
    text.clear();
    this.at++;
    for (;;) {
      // Runs without escapes go over at once.
      let end = this.at;
      while (end < data.length && data[end] !== QUOTE && data[end] !== BACKSLASH && data[end] !== 0) end++;
      text.putBytes(data, this.at, end - this.at);
      this.at = end;
      const c = this.byte(end);
      if (c === QUOTE) break;
      if (c === 0) return this.error('unexpected end of string', end);
      const kind = this.byte(end + 1);
      if (kind === 117) {
        if (!this.unicode()) return this.error('invalid unicode escape code', end);
        continue;
      }
      const plain = ESCAPED[kind];
      if (plain === undefined) return this.error('invalid escape code', end);
      text.put(plain);
      this.at += 2;
    }
    this.at++;
    return 'T_STRING';
  }

  private hex4(at: number): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const digit = Number.parseInt(String.fromCharCode(this.byte(at + i)), 16);
      if (Number.isNaN(digit)) return -1;
      value = value * 16 + digit;
    }
    return value;
  }

  /** A \uXXXX or a pair of them as UTF-8. */
  private unicode(): boolean {
    const { text } = this;
    let code = this.hex4(this.at + 2);
    let length = 6;
    if (code < 0) return false;
    if ((code & 0xf800) === 0xd800) {
      if ((code & 0x400) !== 0) return false;
      if (this.byte(this.at + 6) !== BACKSLASH || this.byte(this.at + 7) !== 117) return false;
      const low = this.hex4(this.at + 8);
      if (low < 0 || (low & 0xfc00) !== 0xdc00) return false;
      code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
      length = 12;
    }
    if (code < 0x80) {
      text.put(code);
    } else if (code < 0x800) {
      text.put(0xc0 | (code >> 6));
      text.put(0x80 | (code & 63));
    } else if (code < 0x10000) {
      text.put(0xe0 | (code >> 12));
      text.put(0x80 | ((code >> 6) & 63));
      text.put(0x80 | (code & 63));
    } else {
      text.put(0xf0 | (code >> 18));
      text.put(0x80 | ((code >> 12) & 63));
      text.put(0x80 | ((code >> 6) & 63));
      text.put(0x80 | (code & 63));
    }
    this.at += length;
    return true;
  }

  private pushString(L: LuaState): void {
    this.machine.pushBytes(L, this.text.bytes, 0, this.text.length);
  }

  private value(L: LuaState, token: Token, depth: number): void {
    const { x } = this.machine;
    switch (token) {
      case 'T_STRING':
        this.pushString(L);
        break;
      case 'T_NUMBER':
        x.lua_pushnumber(L, this.number);
        break;
      case 'T_BOOLEAN':
        x.lua_pushboolean(L, this.number);
        break;
      case 'T_NULL':
        x.lua_pushlightuserdata(L, 0);
        break;
      case 'T_OBJ_BEGIN':
        this.descend(L, depth + 1);
        this.object(L, depth + 1);
        break;
      case 'T_ARR_BEGIN':
        this.descend(L, depth + 1);
        this.array(L, depth + 1);
        break;
      default:
        this.fail(L, 'value', token);
    }
  }

  private descend(L: LuaState, depth: number): void {
    if (depth <= this.maxDepth && this.machine.x.lua_checkstack(L, 5) !== 0) return;
    this.machine.raise(L, `Found too many nested data structures (${depth}) at character ${this.at}`);
  }

  private object(L: LuaState, depth: number): void {
    const { x } = this.machine;
    x.lua_createtable(L, 0, 0);
    let token = this.next();
    if (token === 'T_OBJ_END') return;
    for (;;) {
      if (token !== 'T_STRING') this.fail(L, 'object key string', token);
      this.pushString(L);
      token = this.next();
      if (token !== 'T_COLON') this.fail(L, 'colon', token);
      this.value(L, this.next(), depth);
      x.lua_rawset(L, -3);
      token = this.next();
      if (token === 'T_OBJ_END') return;
      if (token !== 'T_COMMA') this.fail(L, 'comma or object end', token);
      token = this.next();
    }
  }

  private array(L: LuaState, depth: number): void {
    const { x } = this.machine;
    x.lua_createtable(L, 0, 0);
    let token = this.next();
    if (token === 'T_ARR_END') return;
    for (let i = 1; ; i++) {
      this.value(L, token, depth);
      x.lua_rawseti(L, -2, i);
      token = this.next();
      if (token === 'T_ARR_END') return;
      if (token !== 'T_COMMA') this.fail(L, 'comma or array end', token);
      token = this.next();
    }
  }
}
