/** The library "cmsgpack": MessagePack as lua-cmsgpack 0.4.0 writes and reads it. */
import { ByteBuffer } from './byte-buffer.ts';
import {
  LUA_GLOBALSINDEX,
  LUA_TBOOLEAN,
  LUA_TNUMBER,
  LUA_TSTRING,
  LUA_TTABLE,
  type LuaMachine,
  type LuaState,
} from './machine.ts';
import type { LuaLibrary } from './sandbox.ts';

/** Tables nested deeper are packed as nil. */
const MAX_NESTING = 16;
const TWO_63 = 2 ** 63;

class Packer {
  private readonly machine: LuaMachine;
  readonly out = new ByteBuffer();

  constructor(machine: LuaMachine) {
    this.machine = machine;
  }

  /** Appends the value at the top of the stack and pops it. */
  value(L: LuaState, level: number): void {
    const { machine, out } = this;
    const { x } = machine;
    x.lua_checkstack(L, 5);
    switch (x.lua_type(L, -1)) {
      case LUA_TSTRING: {
        const at = machine.toBytes(L, -1);
        const { length } = machine;
        if (length < 32) out.put(0xa0 | length);
        else this.head(length, 0xd9, 0xda, 0xdb);
        out.putBytes(machine.bytes(), at, length);
        break;
      }
      case LUA_TBOOLEAN:
        out.put(x.lua_toboolean(L, -1) !== 0 ? 0xc3 : 0xc2);
        break;
      case LUA_TNUMBER:
        this.number(x.lua_tonumber(L, -1));
        break;
      case LUA_TTABLE:
        if (level === MAX_NESTING) out.put(0xc0);
        else this.table(L, level);
        break;
      default:
        out.put(0xc0);
    }
    x.lua_settop(L, -2);
  }

  private head(length: number, one: number, two: number, four: number): void {
    const { out } = this;
    if (one !== 0 && length <= 0xff) {
      out.put(one);
      out.put(length);
    } else if (length <= 0xffff) {
      out.put(two);
      out.putU16(length);
    } else {
      out.put(four);
      out.putU32(length);
    }
  }

  private number(value: number): void {
    const { out } = this;
    // What a cast to 64 bits and back leaves as it is.
    if (Math.floor(value) === value && value >= -TWO_63 && value < TWO_63) {
      this.integer(value);
    } else if (Math.fround(value) === value) {
      out.put(0xca);
      out.putFloat(value);
    } else {
      out.put(0xcb);
      out.putDouble(value);
    }
  }

  private integer(n: number): void {
    const { out } = this;
    if (n >= 0) {
      if (n <= 127) {
        out.put(n);
      } else if (n <= 0xff) {
        out.put(0xcc);
        out.put(n);
      } else if (n <= 0xffff) {
        out.put(0xcd);
        out.putU16(n);
      } else if (n <= 0xffffffff) {
        out.put(0xce);
        out.putU32(n);
      } else {
        out.put(0xcf);
        out.putI64(BigInt(n));
      }
    } else if (n >= -32) {
      out.put(n & 0xff);
    } else if (n >= -128) {
      out.put(0xd0);
      out.put(n & 0xff);
    } else if (n >= -32768) {
      out.put(0xd1);
      out.putU16(n & 0xffff);
    } else if (n >= -2147483648) {
      out.put(0xd2);
      out.putU32(n >>> 0);
    } else {
      out.put(0xd3);
      out.putI64(BigInt(n));
    }
  }

  /** The table at the top, which stays there. */
  private table(L: LuaState, level: number): void {
    const { machine, out } = this;
    const { x } = machine;
    const count = this.count(L);
    if (count.array) {
      const length = x.lua_objlen(L, -1);
      if (length <= 15) out.put(0x90 | length);
      else this.head(length, 0, 0xdc, 0xdd);
      for (let i = 1; i <= length; i++) {
        x.lua_pushnumber(L, i);
        x.lua_gettable(L, -2);
        this.value(L, level + 1);
      }
      return;
    }
    if (count.fields <= 15) out.put(0x80 | count.fields);
    else this.head(count.fields, 0, 0xde, 0xdf);
    x.lua_pushnil(L);
    while (x.lua_next(L, -2) !== 0) {
      x.lua_pushvalue(L, -2);
      this.value(L, level + 1);
      this.value(L, level + 1);
    }
  }

  /** An array has the keys 1 to n and no others. */
  private count(L: LuaState): { array: boolean; fields: number } {
    const { x } = this.machine;
    let fields = 0;
    let max = 0;
    let array = true;
    x.lua_pushnil(L);
    while (x.lua_next(L, -2) !== 0) {
      x.lua_settop(L, -2);
      fields++;
      if (!array) continue;
      const n = x.lua_type(L, -1) === LUA_TNUMBER ? x.lua_tonumber(L, -1) : 0;
      if (n <= 0 || (n | 0) !== n) array = false;
      else if (n > max) max = n;
    }
    return { array: array && max === fields, fields };
  }
}

const OK = 0;
const MISSING = 1;
const BROKEN = 2;

class Unpacker {
  private readonly machine: LuaMachine;
  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(this.bytes.buffer);
  at = 0;
  end = 0;
  status = OK;

  constructor(machine: LuaMachine) {
    this.machine = machine;
  }

  start(bytes: Uint8Array, at: number): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = bytes.length;
    this.status = OK;
  }

  /** @returns where `bytes` bytes begin after the present position, -1: there are not so many */
  private take(bytes: number): number {
    if (this.end - this.at < bytes) {
      this.status = MISSING;
      return -1;
    }
    const at = this.at;
    this.at += bytes;
    return at;
  }

  private string(L: LuaState, length: number): void {
    const at = this.take(length);
    if (at >= 0) this.machine.pushBytes(L, this.bytes, at, length);
  }

  private array(L: LuaState, length: number): void {
    const { x } = this.machine;
    x.lua_checkstack(L, 4);
    x.lua_createtable(L, 0, 0);
    for (let i = 1; i <= length; i++) {
      x.lua_pushnumber(L, i);
      this.value(L);
      if (this.status !== OK) return;
      x.lua_settable(L, -3);
    }
  }

  private map(L: LuaState, length: number): void {
    const { x } = this.machine;
    x.lua_checkstack(L, 4);
    x.lua_createtable(L, 0, 0);
    for (let i = 0; i < length; i++) {
      this.value(L);
      if (this.status !== OK) return;
      this.value(L);
      if (this.status !== OK) return;
      x.lua_settable(L, -3);
    }
  }

  /** A length of `bytes` bytes, -1: missing. */
  private unsigned(bytes: number): number {
    const at = this.take(bytes);
    if (at < 0) return -1;
    return bytes === 1 ? this.view.getUint8(at) : bytes === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  /** Pushes the value at the present position. */
  value(L: LuaState): void {
    const { x } = this.machine;
    const first = this.take(1);
    if (first < 0) return;
    const type = this.bytes[first]!;
    if (type < 0x80) x.lua_pushnumber(L, type);
    else if (type >= 0xe0) x.lua_pushnumber(L, type - 256);
    else if (type < 0x90) this.map(L, type & 15);
    else if (type < 0xa0) this.array(L, type & 15);
    else if (type < 0xc0) this.string(L, type & 31);
    else this.longForm(L, type);
  }

  private longForm(L: LuaState, type: number): void {
    const { x } = this.machine;
    const number = (bytes: number, read: (at: number) => number): void => {
      const at = this.take(bytes);
      if (at >= 0) x.lua_pushnumber(L, read(at));
    };
    const sized = (bytes: number, then: (length: number) => void): void => {
      const length = this.unsigned(bytes);
      if (length >= 0) then(length);
    };
    const { view } = this;
    switch (type) {
      case 0xc0:
        x.lua_pushnil(L);
        break;
      case 0xc2:
      case 0xc3:
        x.lua_pushboolean(L, type & 1);
        break;
      case 0xca:
        number(4, (at) => view.getFloat32(at));
        break;
      case 0xcb:
        number(8, (at) => view.getFloat64(at));
        break;
      case 0xcc:
        number(1, (at) => view.getUint8(at));
        break;
      case 0xcd:
        number(2, (at) => view.getUint16(at));
        break;
      case 0xce:
        number(4, (at) => view.getUint32(at));
        break;
      case 0xcf:
        // The original puts it through a signed integer.
        number(8, (at) => Number(view.getBigInt64(at)));
        break;
      case 0xd0:
        number(1, (at) => view.getInt8(at));
        break;
      case 0xd1:
        number(2, (at) => view.getInt16(at));
        break;
      case 0xd2:
        number(4, (at) => view.getInt32(at));
        break;
      case 0xd3:
        number(8, (at) => Number(view.getBigInt64(at)));
        break;
      case 0xd9:
        sized(1, (length) => this.string(L, length));
        break;
      case 0xda:
        sized(2, (length) => this.string(L, length));
        break;
      case 0xdb:
        sized(4, (length) => this.string(L, length));
        break;
      case 0xdc:
        sized(2, (length) => this.array(L, length));
        break;
      case 0xdd:
        sized(4, (length) => this.array(L, length));
        break;
      case 0xde:
        sized(2, (length) => this.map(L, length));
        break;
      case 0xdf:
        sized(4, (length) => this.map(L, length));
        break;
      default:
        this.status = BROKEN;
    }
  }
}

/** @param limit values to unpack; 0: all, without the next offset among the results */
function unpack(machine: LuaMachine, unpacker: Unpacker, L: LuaState, limit: number, offset: number): number {
  const { x } = machine;
  const start = x.luaL_checklstring(L, 1, machine.lengthAt);
  const length = machine.view().getUint32(machine.lengthAt, true);
  if (offset < 0 || limit < 0) {
    machine.raise(L, `Invalid request to unpack with offset of ${offset} and limit of ${length}.`);
  }
  if (offset > length) machine.raise(L, `Start offset ${offset} greater than input length ${length}.`);
  const most = limit === 0 ? Number.MAX_SAFE_INTEGER : limit;
  unpacker.start(machine.bytes().slice(start, start + length), offset);
  let count = 0;
  while (unpacker.at < unpacker.end && count < most) {
    if (x.lua_checkstack(L, 4) === 0) machine.raise(L, 'stack overflow (in function mp_unpack_full)');
    unpacker.value(L);
    if (unpacker.status === MISSING) machine.raise(L, 'Missing bytes in input.');
    if (unpacker.status === BROKEN) machine.raise(L, 'Bad data format in input.');
    count++;
  }
  if (limit === 0) return count;
  x.lua_pushnumber(L, unpacker.at === unpacker.end ? -1 : unpacker.at);
  x.lua_insert(L, 2);
  return count + 1;
}

export function cmsgpackLibrary(machine: LuaMachine): LuaLibrary {
  const { x } = machine;
  const packer = new Packer(machine);
  const unpacker = new Unpacker(machine);
  return {
    pack: machine.addFunction((L) => {
      const count = x.lua_gettop(L);
      if (count === 0) x.luaL_argerror(L, 0, machine.text('MessagePack pack needs input.'));
      const { out } = packer;
      out.clear();
      for (let i = 1; i <= count; i++) {
        x.lua_checkstack(L, 2);
        x.lua_pushvalue(L, i);
        packer.value(L, 0);
      }
      machine.pushBytes(L, out.bytes, 0, out.length);
      return 1;
    }),
    unpack: machine.addFunction((L) => unpack(machine, unpacker, L, 0, 0)),
    unpack_one: machine.addFunction((L) => {
      const offset = x.luaL_optinteger(L, 2, 0);
      x.lua_settop(L, 1);
      return unpack(machine, unpacker, L, 1, offset);
    }),
    unpack_limit: machine.addFunction((L) => {
      const limit = x.luaL_checkinteger(L, 2);
      const offset = x.luaL_optinteger(L, 3, 0);
      x.lua_settop(L, 1);
      return unpack(machine, unpacker, L, limit, offset);
    }),
  };
}

/** Adds what the library says of itself. */
export function addCmsgpack(machine: LuaMachine, L: LuaState): void {
  const { x } = machine;
  x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text('cmsgpack'));
  const facts = {
    _NAME: 'cmsgpack',
    _VERSION: 'lua-cmsgpack 0.4.0',
    _COPYRIGHT: 'Copyright (C) 2012, Salvatore Sanfilippo',
    _DESCRIPTION: 'MessagePack C implementation for Lua',
  };
  for (const [name, text] of Object.entries(facts)) {
    machine.pushLatin1(L, text);
    x.lua_setfield(L, -2, machine.text(name));
  }
  x.lua_settop(L, -2);
}
