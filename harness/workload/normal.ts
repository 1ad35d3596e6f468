/**
 * The normal distribution: its density's integral and the inverse of that. Both are good to about 1e-15 (absolute and relative), so
 * that a distribution built by inversion is exact for every purpose of a load test.
 */

const SQRT_2PI = Math.sqrt(2 * Math.PI);
/** Both expansions below have converged to a double's precision long before. */
const MAX_TERMS = 500;

/**
 * Φ(x): the share of a standard normal variable below x. Near the centre the power series
 * φ(x)·Σ x^(2k+1)/(1·3·5·…·(2k+1)), further out Laplace's continued fraction of the tail (Abramowitz and Stegun 26.2.11 and 26.2.14).
 */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  const density = Math.exp(-0.5 * x * x) / SQRT_2PI;
  const z = Math.abs(x);
  if (z < 3) {
    let term = x;
    let sum = x;
    for (let k = 1; k < MAX_TERMS; k++) {
      term *= (x * x) / (2 * k + 1);
      const next = sum + term;
      if (next === sum) break;
      sum = next;
    }
    return 0.5 + density * sum;
  }
  if (z > 40) return x > 0 ? 1 : 0;
  let fraction = z;
  for (let k = 120; k >= 1; k--) fraction = z + k / fraction;
  const tail = density / fraction;
  return x > 0 ? 1 - tail : tail;
}

/**
 * Φ⁻¹(p): Newton's method on Φ in the half below the median (the other half by symmetry), from a rational first guess
 * (Abramowitz and Stegun 26.2.23, good to 4.5e-4). Used to build tables, not per operation.
 * @param p 0 to 1; 0 gives -Infinity and 1 Infinity
 */
export function normalQuantile(p: number): number {
  if (!(p > 0)) return p === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
  if (!(p < 1)) return p === 1 ? Number.POSITIVE_INFINITY : Number.NaN;
  if (p > 0.5) return -lowerQuantile(1 - p);
  return lowerQuantile(p);
}

function lowerQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(p));
  let x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (let step = 0; step < 8; step++) {
    const density = Math.exp(-0.5 * x * x) / SQRT_2PI;
    const error = (normalCdf(x) - p) / density;
    // Halley's correction: the second derivative of Φ is -x·φ(x).
    const delta = error / (1 + 0.5 * x * error);
    x -= delta;
    if (Math.abs(delta) <= 1e-15 * Math.abs(x)) break;
  }
  return x;
}
