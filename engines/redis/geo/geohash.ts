/**
 * Places as sorted set scores: longitude and latitude as integers of 26 bits each, their bits interleaved (latitude first from below)
 * into an integer of 52 bits, which a double holds exactly. Places near each other share leading bits, so an area is a few ranges of
 * scores. Here a cell of any size is kept as the two integers and their number of bits, `step`.
 */

export const LONGITUDE_MIN = -180;
export const LONGITUDE_MAX = 180;
export const LATITUDE_MIN = -85.05112878;
export const LATITUDE_MAX = 85.05112878;
/** The standard's range, which the text form has. */
const STANDARD_LATITUDE_MAX = 90;
export const STEP_MAX = 26;
const SCORE_BITS = 52;
const TEXT_LENGTH = 11;
const ALPHABET = '0123456789bcdefghjkmnpqrstuvwxyz';
const WORD = 4_294_967_296;

/** A cell of the grid of 2^step by 2^step. */
export class Cell {
  latitude = 0;
  longitude = 0;
  step = 0;
  /** A cell that is left out of a search. */
  excluded = false;

  copyFrom(other: Cell, latitudeBy: number, longitudeBy: number): void {
    const mask = 2 ** other.step - 1;
    this.step = other.step;
    this.excluded = false;
    // A coordinate at the very end of its range lies one beyond the grid; only moving brings it back.
    this.latitude = latitudeBy === 0 ? other.latitude : (other.latitude + latitudeBy) & mask;
    this.longitude = longitudeBy === 0 ? other.longitude : (other.longitude + longitudeBy) & mask;
  }

  /** The cell that a place is in. */
  setPlace(longitude: number, latitude: number, step: number): void {
    const size = 2 ** step;
    this.step = step;
    this.excluded = false;
    this.latitude = Math.trunc(((latitude - LATITUDE_MIN) / (LATITUDE_MAX - LATITUDE_MIN)) * size);
    this.longitude = Math.trunc(((longitude - LONGITUDE_MIN) / (LONGITUDE_MAX - LONGITUDE_MIN)) * size);
  }

  isSame(other: Cell): boolean {
    return this.latitude === other.latitude && this.longitude === other.longitude && this.step === other.step;
  }

  /** The first score of the cell. */
  get scoreMin(): number {
    return interleave(this.latitude, this.longitude) * 2 ** (SCORE_BITS - 2 * this.step);
  }

  /** The first score behind the cell. */
  get scoreEnd(): number {
    return (interleave(this.latitude, this.longitude) + 1) * 2 ** (SCORE_BITS - 2 * this.step);
  }

  get latitudeMin(): number {
    return LATITUDE_MIN + (this.latitude / 2 ** this.step) * (LATITUDE_MAX - LATITUDE_MIN);
  }

  get latitudeMax(): number {
    return LATITUDE_MIN + (((this.latitude + 1) >>> 0) / 2 ** this.step) * (LATITUDE_MAX - LATITUDE_MIN);
  }

  get longitudeMin(): number {
    return LONGITUDE_MIN + (this.longitude / 2 ** this.step) * (LONGITUDE_MAX - LONGITUDE_MIN);
  }

  get longitudeMax(): number {
    return LONGITUDE_MIN + (((this.longitude + 1) >>> 0) / 2 ** this.step) * (LONGITUDE_MAX - LONGITUDE_MIN);
  }
}

/** Spreads 16 bits over the even ones of 32. */
function spread(bits: number): number {
  let v = bits & 0xffff;
  v = (v | (v << 8)) & 0x00ff00ff;
  v = (v | (v << 4)) & 0x0f0f0f0f;
  v = (v | (v << 2)) & 0x33333333;
  return (v | (v << 1)) & 0x55555555;
}

/** The even ones of 32 bits. */
function compact(bits: number): number {
  let v = bits & 0x55555555;
  v = (v | (v >>> 1)) & 0x33333333;
  v = (v | (v >>> 2)) & 0x0f0f0f0f;
  v = (v | (v >>> 4)) & 0x00ff00ff;
  return (v | (v >>> 8)) & 0xffff;
}

function interleave(even: number, odd: number): number {
  const lowWord = (spread(even) | (spread(odd) << 1)) >>> 0;
  const highWord = (spread(even >>> 16) | (spread(odd >>> 16) << 1)) >>> 0;
  return highWord * WORD + lowWord;
}

const cell = new Cell();

/** The score of a place within the ranges above. */
export function placeScore(longitude: number, latitude: number): number {
  cell.setPlace(longitude, latitude, STEP_MAX);
  return cell.scoreMin;
}

/** Where the place is that decodeScore has found. */
export let placeLongitude = 0;
export let placeLatitude = 0;

/** Low and high word of the last conversion. */
let lowWord = 0;
let highWord = 0;

/** A double as the processor converts it to an unsigned integer of 64 bits, also where that is out of range: any score may be asked for. */
function toWords(score: number): void {
  const whole = Math.trunc(score);
  lowWord = 0;
  highWord = 0;
  if (whole < -(2 ** 63)) {
    highWord = 0x80000000;
  } else if (whole < 2 ** 64) {
    lowWord = whole >>> 0;
    highWord = Math.floor(whole / WORD) >>> 0;
  }
}

/** Finds the middle of the cell that a score stands for. */
export function decodeScore(score: number): void {
  toWords(score);
  cell.latitude = (compact(lowWord) | (compact(highWord) << 16)) >>> 0;
  cell.longitude = (compact(lowWord >>> 1) | (compact(highWord >>> 1) << 16)) >>> 0;
  cell.step = STEP_MAX;
  const longitude = (cell.longitudeMin + cell.longitudeMax) / 2;
  const latitude = (cell.latitudeMin + cell.latitudeMax) / 2;
  placeLongitude = Math.min(LONGITUDE_MAX, Math.max(LONGITUDE_MIN, longitude));
  placeLatitude = Math.min(LATITUDE_MAX, Math.max(LATITUDE_MIN, latitude));
}

/** The standard text of 11 letters of the place of a score. There are 52 bits for 55, so the last letter is always 0. */
export function geohashText(score: number): string {
  decodeScore(score);
  const size = 2 ** STEP_MAX;
  const latitude = Math.trunc(((placeLatitude + STANDARD_LATITUDE_MAX) / (2 * STANDARD_LATITUDE_MAX)) * size);
  const longitude = Math.trunc(((placeLongitude - LONGITUDE_MIN) / (LONGITUDE_MAX - LONGITUDE_MIN)) * size);
  let text = '';
  for (let i = 1; i < TEXT_LENGTH; i++) {
    // Five bits from above, the odd ones (longitude) and the even ones in turns.
    let letter = 0;
    for (let bit = SCORE_BITS - 5 * (i - 1) - 1; bit >= SCORE_BITS - 5 * i; bit--) {
      const from = (bit & 1) !== 0 ? longitude : latitude;
      letter = letter * 2 + ((from >>> (bit >>> 1)) & 1);
    }
    text += ALPHABET[letter];
  }
  return `${text}0`;
}
