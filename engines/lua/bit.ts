/** The library "bit": operations on 32-bit integers, as LuaBitOp has them. */
import type { LuaMachine, LuaState } from './machine.ts';
import type { LuaLibrary } from './sandbox.ts';

const double = new Float64Array(1);
const words = new Int32Array(double.buffer);
/** Adding it leaves the integer, rounded to even, in the low bits of a double. */
const MAGIC = 6755399441055744;
const HEX_DIGITS = 8;

/** A number as 32 bits, signed. */
function toBit(value: number): number {
  double[0] = value + MAGIC;
  return words[0]!;
}

export function bitLibrary(machine: LuaMachine): LuaLibrary {
  const { x } = machine;
  const argument = (L: LuaState, i: number): number => toBit(x.luaL_checknumber(L, i));
  const unary = (operation: (a: number) => number): number =>
    machine.addFunction((L) => {
      x.lua_pushnumber(L, operation(argument(L, 1)) | 0);
      return 1;
    });
  const shift = (operation: (a: number, n: number) => number): number =>
    machine.addFunction((L) => {
      const a = argument(L, 1);
      x.lua_pushnumber(L, operation(a, argument(L, 2) & 31) | 0);
      return 1;
    });
  const fold = (operation: (a: number, b: number) => number): number =>
    machine.addFunction((L) => {
      let result = argument(L, 1);
      for (let i = x.lua_gettop(L); i > 1; i--) result = operation(result, argument(L, i));
      x.lua_pushnumber(L, result | 0);
      return 1;
    });
  return {
    tobit: unary((a) => a),
    bnot: unary((a) => ~a),
    bswap: unary((a) => (a >>> 24) | ((a >>> 8) & 0xff00) | ((a & 0xff00) << 8) | (a << 24)),
    band: fold((a, b) => a & b),
    bor: fold((a, b) => a | b),
    bxor: fold((a, b) => a ^ b),
    lshift: shift((a, n) => a << n),
    rshift: shift((a, n) => a >>> n),
    arshift: shift((a, n) => a >> n),
    rol: shift((a, n) => (a << n) | (a >>> ((32 - n) & 31))),
    ror: shift((a, n) => (a >>> n) | (a << ((32 - n) & 31))),
    tohex: machine.addFunction((L) => {
      const value = argument(L, 1);
      let digits = x.lua_type(L, 2) === -1 ? HEX_DIGITS : argument(L, 2);
      const upper = digits < 0;
      if (upper) digits = -digits;
      if (digits > HEX_DIGITS || digits < 0) digits = HEX_DIGITS;
      const text = (value >>> 0)
        .toString(16)
        .padStart(HEX_DIGITS, '0')
        .slice(HEX_DIGITS - digits);
      machine.pushLatin1(L, upper ? text.toUpperCase() : text);
      return 1;
    }),
  };
}
