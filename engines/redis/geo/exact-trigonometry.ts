/**
 * Sine, cosine and arc sine, correctly rounded for the angles of places on Earth. JavaScript's may be off by one unit in the last place,
 * and the C library's are not; distances are stored as scores with all their digits, so that would show.
 *
 * Values are kept as unevaluated sums of two doubles, some 106 bits (Dekker 1971; Knuth's two-sum). A function leaves its
 * result in `high` and `low`.
 */

/** 2^27 + 1: splits a double into halves of 26 bits. */
const SPLITTER = 134_217_729;
/** Half of π in three doubles. */
const HALF_PI_1 = 1.5707963267948966;
const HALF_PI_2 = 6.123233995736766e-17;
const HALF_PI_3 = -1.4973849048591833e-33;
/** Beyond this the reduction would not be exact; no place needs it. */
const LARGEST_ANGLE = 8;
/** Terms until r^n / n! is below 2^-106 for r up to π/4. */
const TERMS = 14;

let high = 0;
let low = 0;

/** a + b, exactly. */
function twoSum(a: number, b: number): void {
  const sum = a + b;
  const part = sum - a;
  low = a - (sum - part) + (b - part);
  high = sum;
}

/** a × b, exactly. */
function twoProduct(a: number, b: number): void {
  const product = a * b;
  const aScaled = SPLITTER * a;
  const aHigh = aScaled - (aScaled - a);
  const aLow = a - aHigh;
  const bScaled = SPLITTER * b;
  const bHigh = bScaled - (bScaled - b);
  const bLow = b - bHigh;
  low = aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
  high = product;
}

function add(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  twoSum(aHigh, bHigh);
  const sum = high;
  twoSum(sum, low + aLow + bLow);
}

function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  twoProduct(aHigh, bHigh);
  const product = high;
  twoSum(product, low + (aHigh * bLow + aLow * bHigh));
}

/** Divides by a double. */
function divide(aHigh: number, aLow: number, divisor: number): void {
  const quotient = aHigh / divisor;
  twoProduct(quotient, divisor);
  twoSum(quotient, (aHigh - high - low + aLow) / divisor);
}

/**
 * The series of sine (odd powers) or cosine (even powers) of the angle r.
 * @param first 1 for sine, 0 for cosine: the power of the first term
 */
function series(rHigh: number, rLow: number, first: number): void {
  multiply(rHigh, rLow, rHigh, rLow);
  const squareHigh = -high;
  const squareLow = -low;
  let termHigh = first === 1 ? rHigh : 1;
  let termLow = first === 1 ? rLow : 0;
  let sumHigh = termHigh;
  let sumLow = termLow;
  for (let power = first + 2; power <= 2 * TERMS; power += 2) {
    multiply(termHigh, termLow, squareHigh, squareLow);
    divide(high, low, power * (power - 1));
    termHigh = high;
    termLow = low;
    add(sumHigh, sumLow, termHigh, termLow);
    sumHigh = high;
    sumLow = low;
  }
}

/** The sine of x plus `quarters` quarter turns, into `high` and `low`. */
function sineOf(x: number, quarters: number): void {
  const turns = Math.round(x / HALF_PI_1);
  twoProduct(turns, HALF_PI_1);
  const rest = x - high;
  const error = low;
  twoProduct(turns, HALF_PI_2);
  const secondHigh = high;
  const secondLow = low;
  twoSum(rest, -error);
  add(high, low, -secondHigh, -secondLow - turns * HALF_PI_3);
  const quadrant = (turns + quarters) & 3;
  series(high, low, quadrant & 1 ? 0 : 1);
  if (quadrant >= 2) {
    high = -high;
    low = -low;
  }
}

export function sine(x: number): number {
  if (x === 0 || !(Math.abs(x) <= LARGEST_ANGLE)) return Math.sin(x);
  sineOf(x, 0);
  return high;
}

export function cosine(x: number): number {
  if (!(Math.abs(x) <= LARGEST_ANGLE)) return Math.cos(x);
  sineOf(x, 1);
  return high;
}

/** @param y from 0 to 1; NaN beyond */
export function arcSine(y: number): number {
  const guess = Math.asin(y);
  if (!(guess > 0)) return guess;
  // One step of Newton's from a guess that is right to the last place or two doubles the digits.
  sineOf(guess, 0);
  return guess + (y - high - low) / Math.cos(guess);
}
