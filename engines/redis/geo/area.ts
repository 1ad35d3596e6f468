/** Areas to search: circles and boxes on the sphere, the distance between places, and the nine cells that cover an area. */
import { arcSine, cosine, sine } from './exact-trigonometry.ts';
import { Cell, placeLatitude, placeLongitude, STEP_MAX } from './geohash.ts';

const RADIANS = Math.PI / 180;
const EARTH_RADIUS_METERS = 6372797.560856;
/** Half of the equator in the Mercator projection, in meters. */
const MERCATOR_MAX = 20037726.37;
/** From these latitudes on cells are so narrow that larger ones are needed. */
const NARROW_LATITUDE = 66;
const NARROWER_LATITUDE = 80;
/** What the fast distance may be off by, as a fraction: less than this decides nothing. */
const FAST_ERROR = 1e-9;

/** Distance in meters along a meridian. */
function latitudeDistance(latitude1: number, latitude2: number): number {
  return distanceBetween(0, latitude1, 0, latitude2);
}

/** Distance in meters by the haversine formula, in the original's order of operations, each correctly rounded. */
export function distanceBetween(longitude1: number, latitude1: number, longitude2: number, latitude2: number): number {
  const radians1 = latitude1 * RADIANS;
  const radians2 = latitude2 * RADIANS;
  const u = sine((radians2 - radians1) / 2);
  const v = sine((longitude2 * RADIANS - longitude1 * RADIANS) / 2);
  return 2 * EARTH_RADIUS_METERS * arcSine(Math.sqrt(u * u + cosine(radians1) * cosine(radians2) * v * v));
}

/** As distanceBetween with the processor's rounding: fast, and right but for the last digits. */
function fastDistance(longitude1: number, latitude1: number, longitude2: number, latitude2: number): number {
  const radians1 = latitude1 * RADIANS;
  const radians2 = latitude2 * RADIANS;
  const u = Math.sin((radians2 - radians1) / 2);
  const v = Math.sin((longitude2 * RADIANS - longitude1 * RADIANS) / 2);
  return 2 * EARTH_RADIUS_METERS * Math.asin(Math.sqrt(u * u + Math.cos(radians1) * Math.cos(radians2) * v * v));
}

export class Area {
  /** The middle. */
  longitude = 0;
  latitude = 0;
  isBox = false;
  /** In units of `unitMeters`. */
  radius = 0;
  width = 0;
  height = 0;
  unitMeters = 1;
  /** The distance in meters of the place that `contains` has found inside. */
  distance = 0;
  /** The cells to look into, in the original's order: the middle, then north, south, east, west and the corners. */
  readonly cells: readonly Cell[] = Array.from({ length: 9 }, () => new Cell());
  private longitudeMin = 0;
  private longitudeMax = 0;
  private latitudeMin = 0;
  private latitudeMax = 0;

  /** Whether the place found last by decodeScore is inside; its distance is then in `distance`. */
  contains(): boolean {
    const longitude = placeLongitude;
    const latitude = placeLatitude;
    if (this.isBox) {
      if (latitudeDistance(latitude, this.latitude) > (this.height * this.unitMeters) / 2) return false;
      const along = distanceBetween(longitude, latitude, this.longitude, latitude);
      if (along > (this.width * this.unitMeters) / 2) return false;
      this.distance = distanceBetween(this.longitude, this.latitude, longitude, latitude);
      return true;
    }
    const radius = this.radius * this.unitMeters;
    if (fastDistance(this.longitude, this.latitude, longitude, latitude) > radius * (1 + FAST_ERROR) + FAST_ERROR) {
      return false;
    }
    this.distance = distanceBetween(this.longitude, this.latitude, longitude, latitude);
    return !(this.distance > radius);
  }

  private setBounds(): void {
    const height = this.unitMeters * (this.isBox ? this.height / 2 : this.radius);
    const width = this.unitMeters * (this.isBox ? this.width / 2 : this.radius);
    const latitudeBy = height / EARTH_RADIUS_METERS / RADIANS;
    // Towards the nearer pole the same width spans more degrees.
    const widest = this.latitude < 0 ? this.latitude - latitudeBy : this.latitude + latitudeBy;
    const longitudeBy = width / EARTH_RADIUS_METERS / cosine(widest * RADIANS) / RADIANS;
    this.longitudeMin = this.longitude - longitudeBy;
    this.longitudeMax = this.longitude + longitudeBy;
    this.latitudeMin = this.latitude - latitudeBy;
    this.latitudeMax = this.latitude + latitudeBy;
  }

  /** Bits a coordinate for which a cell is about as large as the area. */
  private estimateStep(): number {
    const halfDiagonal = Math.sqrt((this.width / 2) * (this.width / 2) + (this.height / 2) * (this.height / 2));
    let range = (this.isBox ? halfDiagonal : this.radius) * this.unitMeters;
    if (range === 0) return STEP_MAX;
    let step = 1;
    for (; range < MERCATOR_MAX; range *= 2) step++;
    step -= 2;
    if (this.latitude > NARROW_LATITUDE || this.latitude < -NARROW_LATITUDE) {
      step--;
      if (this.latitude > NARROWER_LATITUDE || this.latitude < -NARROWER_LATITUDE) step--;
    }
    return Math.max(1, Math.min(STEP_MAX, step));
  }

  private setCells(step: number): void {
    const [middle, north, south, east, west, northEast, northWest, southEast, southWest] = this.cells as Cells;
    middle.setPlace(this.longitude, this.latitude, step);
    north.copyFrom(middle, 1, 0);
    south.copyFrom(middle, -1, 0);
    east.copyFrom(middle, 0, 1);
    west.copyFrom(middle, 0, -1);
    northEast.copyFrom(middle, 1, 1);
    northWest.copyFrom(middle, 1, -1);
    southEast.copyFrom(middle, -1, 1);
    southWest.copyFrom(middle, -1, -1);
  }

  /** Finds the cells that cover the area, leaving out those it does not reach. */
  cover(): void {
    this.setBounds();
    let step = this.estimateStep();
    this.setCells(step);
    const [middle, north, south, east, west, northEast, northWest, southEast, southWest] = this.cells as Cells;
    const tooSmall =
      north.latitudeMax < this.latitudeMax ||
      south.latitudeMin > this.latitudeMin ||
      east.longitudeMax < this.longitudeMax ||
      west.longitudeMin > this.longitudeMin;
    if (step > 1 && tooSmall) this.setCells(--step);
    if (step < 2) return;
    if (middle.latitudeMin < this.latitudeMin) exclude(south, southWest, southEast);
    if (middle.latitudeMax > this.latitudeMax) exclude(north, northEast, northWest);
    if (middle.longitudeMin < this.longitudeMin) exclude(west, southWest, northWest);
    if (middle.longitudeMax > this.longitudeMax) exclude(east, southEast, northEast);
  }
}

type Cells = [Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell, Cell];

function exclude(a: Cell, b: Cell, c: Cell): void {
  a.excluded = true;
  b.excluded = true;
  c.excluded = true;
}
