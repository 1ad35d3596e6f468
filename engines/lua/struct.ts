/** The library "struct": packs values into bytes by a format and back, as Roberto Ierusalimschy's struct 0.2 does. */
import { ByteBuffer } from './byte-buffer.ts';
import { LUA_TNUMBER, type LuaMachine, type LuaState } from './machine.ts';
import type { LuaLibrary } from './sandbox.ts';

const MAX_INTEGER_BYTES = 32;
const MAX_ALIGNMENT = 8;
const INT_MAX = 0x7fffffff;
const DEFAULT_INT_BYTES = 4;

/** Walks through a format. */
class Format {
  private readonly machine: LuaMachine;
  private readonly L: LuaState;
  private readonly text: string;
  private at = 0;
  little = true;
  private alignment = 1;
  /** The option read last, and its size in bytes. */
  option = '';
  size = 0;

  constructor(machine: LuaMachine, L: LuaState) {
    this.machine = machine;
    this.L = L;
    const start = machine.x.luaL_checklstring(L, 1, machine.lengthAt);
    this.text = machine.cString(start);
  }

  /** @returns false at the end */
  next(): boolean {
    if (this.at >= this.text.length) return false;
    this.option = this.text[this.at++]!;
    this.size = this.sizeOf(this.option);
    return true;
  }

  private isDigit(): boolean {
    const c = this.text.charCodeAt(this.at);
    return c >= 48 && c <= 57;
  }

  private number(otherwise: number): number {
    if (!this.isDigit()) return otherwise;
    let value = 0;
    do {
      const digit = this.text.charCodeAt(this.at) - 48;
      if (value > Math.floor(INT_MAX / 10) || value * 10 > INT_MAX - digit) {
        this.machine.raise(this.L, 'integral size overflow');
      }
      value = value * 10 + digit;
      this.at++;
    } while (this.isDigit());
    return value;
  }

  private sizeOf(option: string): number {
    switch (option) {
      case 'B':
      case 'b':
      case 'x':
        return 1;
      case 'H':
      case 'h':
        return 2;
      case 'L':
      case 'l':
      case 'T':
      case 'd':
        return 8;
      case 'f':
        return 4;
      case 'c':
        return this.number(1);
      case 'i':
      case 'I': {
        const size = this.number(DEFAULT_INT_BYTES);
        if (size > MAX_INTEGER_BYTES) {
          this.machine.raise(this.L, `integral size ${size} is larger than limit of ${MAX_INTEGER_BYTES}`);
        }
        return size;
      }
      default:
        return 0;
    }
  }

  /** Bytes to skip before the present option at a position. */
  padding(position: number): number {
    if (this.size === 0 || this.option === 'c') return 0;
    const size = Math.min(this.size, this.alignment);
    return (size - (position & (size - 1))) & (size - 1);
  }

  /** An option that is no value. */
  control(): void {
    switch (this.option) {
      case ' ':
        return;
      case '>':
        this.little = false;
        return;
      case '<':
        this.little = true;
        return;
      case '!': {
        const alignment = this.number(MAX_ALIGNMENT);
        if (alignment <= 0 || (alignment & (alignment - 1)) !== 0) {
          this.machine.raise(this.L, `alignment ${alignment} is not a power of 2`);
        }
        this.alignment = alignment;
        return;
      }
      default:
        this.machine.x.luaL_argerror(this.L, 1, this.machine.passingText(`invalid format option '${this.option}'`));
    }
  }
}

const isInteger = (option: string): boolean => 'bBhHlLTiI'.includes(option);

/** A double as 64 bits, as a C cast gives them on the machines of the original. */
function toBits(value: number): bigint {
  if (!Number.isFinite(value)) return 1n << 63n;
  const whole = BigInt(Math.trunc(value));
  const low = -(1n << 63n);
  if (whole < low || whole >= 1n << 64n) return 1n << 63n;
  return BigInt.asUintN(64, whole);
}

function putInteger(buffer: ByteBuffer, value: number, size: number, little: boolean): void {
  let bits = toBits(value);
  const at = buffer.length;
  for (let i = 0; i < size; i++) buffer.put(0);
  for (let i = 0; i < size; i++) {
    buffer.bytes[little ? at + i : at + size - 1 - i] = Number(bits & 0xffn);
    bits >>= 8n;
  }
}

function getInteger(bytes: Uint8Array, at: number, size: number, little: boolean, signed: boolean): number {
  let bits = 0n;
  for (let i = 0; i < size; i++) {
    bits = BigInt.asUintN(64, bits << 8n) | BigInt(bytes[little ? at + size - 1 - i : at + i]!);
  }
  if (!signed) return Number(bits);
  const mask = BigInt.asUintN(64, ((1n << 64n) - 1n) << BigInt((size * 8 - 1) & 63));
  if ((bits & mask) !== 0n) bits |= mask;
  return Number(BigInt.asIntN(64, bits));
}

function pack(machine: LuaMachine, L: LuaState, buffer: ByteBuffer): number {
  const { x } = machine;
  const format = new Format(machine, L);
  let arg = 2;
  let total = 0;
  buffer.clear();
  while (format.next()) {
    const { option } = format;
    const padding = format.padding(total);
    for (let i = 0; i < padding; i++) buffer.put(0);
    total += padding;
    let { size } = format;
    if (isInteger(option)) {
      // Beyond the last argument the original looks at a nil of its own.
      if (arg > x.lua_gettop(L)) x.lua_settop(L, arg);
      putInteger(buffer, x.luaL_checknumber(L, arg++), size, format.little);
    } else if (option === 'x') {
      buffer.put(0);
    } else if (option === 'f' || option === 'd') {
      if (arg > x.lua_gettop(L)) x.lua_settop(L, arg);
      const value = x.luaL_checknumber(L, arg++);
      if (option === 'f') buffer.putFloat(value, format.little);
      else buffer.putDouble(value, format.little);
    } else if (option === 'c' || option === 's') {
      if (arg > x.lua_gettop(L)) x.lua_settop(L, arg);
      const from = x.luaL_checklstring(L, arg++, machine.lengthAt);
      const length = machine.view().getUint32(machine.lengthAt, true);
      if (size === 0) size = length;
      if (length < size) x.luaL_argerror(L, arg, machine.text('string too short'));
      buffer.putBytes(machine.bytes(), from, size);
      if (option === 's') {
        buffer.put(0);
        size++;
      }
    } else {
      format.control();
    }
    total += size;
  }
  machine.pushBytes(L, buffer.bytes, 0, buffer.length);
  return 1;
}

const TOO_SHORT = 'data string too short';

function unpack(machine: LuaMachine, L: LuaState): number {
  const { x } = machine;
  const format = new Format(machine, L);
  const start = x.luaL_checklstring(L, 2, machine.lengthAt);
  const length = machine.view().getUint32(machine.lengthAt, true);
  const data = machine.bytes().slice(start, start + length);
  const view = new DataView(data.buffer);
  let position = x.luaL_optinteger(L, 3, 1);
  if (position === 0) x.luaL_argerror(L, 3, machine.text('offset must be 1 or greater'));
  // A negative position is a very large one to the original, whose type has no sign.
  if (position < 0) position = Number.MAX_SAFE_INTEGER;
  position--;
  let results = 0;
  x.lua_settop(L, 2);
  while (format.next()) {
    const { option } = format;
    let { size } = format;
    position += format.padding(position);
    if (position + size > length) x.luaL_argerror(L, 2, machine.text(TOO_SHORT));
    x.lua_checkstack(L, 4);
    if (isInteger(option)) {
      const signed = option >= 'a';
      x.lua_pushnumber(L, getInteger(data, position, size, format.little, signed));
      results++;
    } else if (option === 'f' || option === 'd') {
      x.lua_pushnumber(
        L,
        option === 'f' ? view.getFloat32(position, format.little) : view.getFloat64(position, format.little),
      );
      results++;
    } else if (option === 'c') {
      if (size === 0) {
        if (results === 0 || x.lua_type(L, -1) !== LUA_TNUMBER) {
          machine.raise(L, "format 'c0' needs a previous size");
        }
        size = Math.trunc(x.lua_tonumber(L, -1));
        x.lua_settop(L, -2);
        results--;
        if (size < 0 || position + size > length) x.luaL_argerror(L, 2, machine.text(TOO_SHORT));
      }
      machine.pushBytes(L, data, position, size);
      results++;
    } else if (option === 's') {
      const end = data.indexOf(0, position);
      if (end < 0) machine.raise(L, 'unfinished string in data');
      machine.pushBytes(L, data, position, end - position);
      size = end - position + 1;
      results++;
    } else if (option !== 'x') {
      format.control();
    }
    position += size;
  }
  x.lua_pushnumber(L, position + 1);
  return results + 1;
}

function size(machine: LuaMachine, L: LuaState): number {
  const { x } = machine;
  const format = new Format(machine, L);
  let position = 0;
  while (format.next()) {
    const { option } = format;
    position += format.padding(position);
    if (option === 's') x.luaL_argerror(L, 1, machine.text("option 's' has no fixed size"));
    else if (option === 'c' && format.size === 0) {
      x.luaL_argerror(L, 1, machine.text("option 'c0' has no fixed size"));
    }
    if (!/[A-Za-z0-9]/.test(option)) format.control();
    position += format.size;
  }
  x.lua_pushnumber(L, position);
  return 1;
}

export function structLibrary(machine: LuaMachine): LuaLibrary {
  const buffer = new ByteBuffer();
  return {
    pack: machine.addFunction((L) => pack(machine, L, buffer)),
    unpack: machine.addFunction((L) => unpack(machine, L)),
    size: machine.addFunction((L) => size(machine, L)),
  };
}
