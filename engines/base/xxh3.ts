/**
 * XXH3, 64 bits, with seed 0 and the default secret (Yann Collet, xxHash 0.8; the algorithm's description is public), for inputs of at most 256
 * bytes, of which memcached's `hash_algorithm=xxh3` uses the low 32 bits. 64-bit numbers are pairs of 32-bit halves, since BigInts
 * would allocate: `hi` and `lo` below hold the result of the last operation.
 */

/** The secret from which keys are taken (XXH3's kSecret). */
const SECRET_BYTES = Uint8Array.from(
  (
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c' +
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364' +
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e'
  ).match(/../g)!,
  (pair) => Number.parseInt(pair, 16),
);
const SECRET = new DataView(SECRET_BYTES.buffer);

/** Length of the longest input. */
export const XXH3_BYTES_MAX = 256;

let hi = 0;
let lo = 0;
/** The sum under way. */
let sumHi = 0;
let sumLo = 0;

/** Little-endian, at any alignment. */
function word(view: DataView, at: number): number {
  return view.getInt32(at, true);
}

/** High half of the product of two 32-bit numbers, as an int. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = Math.imul(aLow, bLow) >>> 0;
  const middle = (Math.imul(aHigh, bLow) >>> 0) + (low >>> 16);
  const other = (Math.imul(aLow, bHigh) >>> 0) + (middle & 0xffff);
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
}

/** hi, lo = low 64 bits of the product. */
function mul(aHi: number, aLo: number, bHi: number, bLo: number): void {
  hi = (mulHigh(aLo, bLo) + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0;
  lo = Math.imul(aLo, bLo);
}

/** hi, lo = both halves of the 128-bit product, combined by exclusive or. */
function mulFold(aHi: number, aLo: number, bHi: number, bLo: number): void {
  const crossHi1 = mulHigh(aHi, bLo);
  const crossLo1 = Math.imul(aHi, bLo) >>> 0;
  const crossHi2 = mulHigh(aLo, bHi);
  const crossLo2 = Math.imul(aLo, bHi) >>> 0;
  const low = Math.imul(aLo, bLo);
  const second = (mulHigh(aLo, bLo) >>> 0) + crossLo1 + crossLo2;
  const third = (Math.imul(aHi, bHi) >>> 0) + (crossHi1 >>> 0) + (crossHi2 >>> 0) + Math.floor(second / 0x100000000);
  const fourth = (mulHigh(aHi, bHi) + Math.floor(third / 0x100000000)) | 0;
  lo = low ^ third;
  hi = (second ^ fourth) | 0;
}

/** sum += high, low. */
function add(high: number, low: number): void {
  const sum = (sumLo >>> 0) + (low >>> 0);
  sumHi = (sumHi + high + (sum >= 0x100000000 ? 1 : 0)) | 0;
  sumLo = sum | 0;
}

/** The last step of most lengths. @returns the low half */
function avalanche(high: number, low: number): number {
  // h ^= h >>> 37; h *= 0x165667919E3779F9; h ^= h >>> 32
  low ^= high >>> 5;
  mul(high, low, 0x16566791, 0x9e3779f9);
  return lo ^ hi;
}

/** XXH64's last step, of the shortest inputs. @returns the low half */
function avalanche64(high: number, low: number): number {
  low ^= high >>> 1;
  mul(high, low, 0xc2b2ae3d, 0x27d4eb4f);
  const h = hi ^ (hi >>> 29);
  const l = lo ^ ((lo >>> 29) | (hi << 3));
  mul(h, l, 0x165667b1, 0x9e3779f9);
  return lo ^ hi;
}

/** hi, lo = 16 bytes of input under 16 of the secret. */
function mix(view: DataView, at: number, secret: number): void {
  mulFold(
    word(view, at + 4) ^ word(SECRET, secret + 4),
    word(view, at) ^ word(SECRET, secret),
    word(view, at + 12) ^ word(SECRET, secret + 12),
    word(view, at + 8) ^ word(SECRET, secret + 8),
  );
}

function addMix(view: DataView, at: number, secret: number): void {
  mix(view, at, secret);
  add(hi, lo);
}

function upTo3(view: DataView, at: number, length: number): number {
  if (length === 0) return avalanche64(word(SECRET, 60) ^ word(SECRET, 68), word(SECRET, 56) ^ word(SECRET, 64));
  const bytes =
    (view.getUint8(at) << 16) |
    (view.getUint8(at + (length >> 1)) << 24) |
    view.getUint8(at + length - 1) |
    (length << 8);
  return avalanche64(0, bytes ^ word(SECRET, 0) ^ word(SECRET, 4));
}

function upTo8(view: DataView, at: number, length: number): number {
  const high = word(view, at) ^ word(SECRET, 12) ^ word(SECRET, 20);
  const low = word(view, at + length - 4) ^ word(SECRET, 8) ^ word(SECRET, 16);
  // h ^= rotl(h, 49) ^ rotl(h, 24)
  const h = high ^ ((low << 17) | (high >>> 15)) ^ ((high << 24) | (low >>> 8));
  const l = low ^ ((high << 17) | (low >>> 15)) ^ ((low << 24) | (high >>> 8));
  mul(h, l, 0x9fb21c65, 0x1e98df25);
  // h ^= (h >>> 35) + length
  const shifted = (hi >>> 3) + length;
  mul(hi, lo ^ shifted, 0x9fb21c65, 0x1e98df25);
  return lo ^ ((lo >>> 28) | (hi << 4));
}

/** The bytes of a word in the opposite order. */
function swap(x: number): number {
  return (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);
}

function upTo16(view: DataView, at: number, length: number): number {
  const end = at + length - 8;
  const lowHi = word(view, at + 4) ^ word(SECRET, 28) ^ word(SECRET, 36);
  const lowLo = word(view, at) ^ word(SECRET, 24) ^ word(SECRET, 32);
  const highHi = word(view, end + 4) ^ word(SECRET, 44) ^ word(SECRET, 52);
  const highLo = word(view, end) ^ word(SECRET, 40) ^ word(SECRET, 48);
  sumHi = 0;
  sumLo = length;
  add(swap(lowLo), swap(lowHi));
  add(highHi, highLo);
  mulFold(lowHi, lowLo, highHi, highLo);
  add(hi, lo);
  return avalanche(sumHi, sumLo);
}

function upTo128(view: DataView, at: number, length: number): number {
  const end = at + length;
  mul(0, length, 0x9e3779b1, 0x85ebca87);
  sumHi = hi;
  sumLo = lo;
  for (let i = (length - 1) >> 5; i >= 0; i--) {
    addMix(view, at + 16 * i, 32 * i);
    addMix(view, end - 16 * (i + 1), 32 * i + 16);
  }
  return avalanche(sumHi, sumLo);
}

function upTo240(view: DataView, at: number, length: number): number {
  mul(0, length, 0x9e3779b1, 0x85ebca87);
  sumHi = hi;
  sumLo = lo;
  for (let i = 0; i < 8; i++) addMix(view, at + 16 * i, 16 * i);
  sumLo = avalanche(sumHi, sumLo);
  sumHi = hi;
  for (let i = 8; i < length >> 4; i++) addMix(view, at + 16 * i, 16 * (i - 8) + 3);
  addMix(view, at + length - 16, 136 - 17);
  return avalanche(sumHi, sumLo);
}

/** Eight sums of 64 bits, low halves first, and what they begin with. */
const lanes = new Int32Array(16);
const LANES_AT_START = Uint32Array.of(
  ...[0xc2b2ae3d, 0, 0x85ebca87, 0x9e3779b1, 0x27d4eb4f, 0xc2b2ae3d, 0x9e3779f9, 0x165667b1],
  ...[0xc2b2ae63, 0x85ebca77, 0x85ebca77, 0, 0x165667c5, 0x27d4eb2f, 0x9e3779b1, 0],
);

function addStripe(view: DataView, at: number, secret: number): void {
  for (let lane = 0; lane < 8; lane++) {
    const low = word(view, at + 8 * lane);
    const high = word(view, at + 8 * lane + 4);
    const keyLow = low ^ word(SECRET, secret + 8 * lane);
    const keyHigh = high ^ word(SECRET, secret + 8 * lane + 4);
    addToLane(lane ^ 1, high, low);
    addToLane(lane, mulHigh(keyLow, keyHigh), Math.imul(keyLow, keyHigh));
  }
}

function addToLane(lane: number, high: number, low: number): void {
  const sum = (lanes[2 * lane] >>> 0) + (low >>> 0);
  lanes[2 * lane] = sum | 0;
  lanes[2 * lane + 1] = (lanes[2 * lane + 1] + high + (sum >= 0x100000000 ? 1 : 0)) | 0;
}

function longer(view: DataView, at: number, length: number): number {
  lanes.set(LANES_AT_START);
  const stripes = (length - 1) >> 6;
  for (let i = 0; i < stripes; i++) addStripe(view, at + 64 * i, 8 * i);
  addStripe(view, at + length - 64, 121);
  mul(0, length, 0x9e3779b1, 0x85ebca87);
  sumHi = hi;
  sumLo = lo;
  for (let i = 0; i < 4; i++) {
    const secret = 11 + 16 * i;
    mulFold(
      lanes[4 * i + 1] ^ word(SECRET, secret + 4),
      lanes[4 * i] ^ word(SECRET, secret),
      lanes[4 * i + 3] ^ word(SECRET, secret + 12),
      lanes[4 * i + 2] ^ word(SECRET, secret + 8),
    );
    add(hi, lo);
  }
  return avalanche(sumHi, sumLo);
}

/**
 * @param length at most XXH3_BYTES_MAX
 * @returns the low 32 bits of the hash as a signed integer
 */
export function xxh3(view: DataView, offset: number, length: number): number {
  if (length <= 3) return upTo3(view, offset, length);
  if (length <= 8) return upTo8(view, offset, length);
  if (length <= 16) return upTo16(view, offset, length);
  if (length <= 128) return upTo128(view, offset, length);
  if (length <= 240) return upTo240(view, offset, length);
  return longer(view, offset, length);
}
