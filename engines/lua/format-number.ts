/** Numbers as C's printf writes them. */

const double = new Float64Array(1);
const words = new Int32Array(double.buffer);

function special(value: number): string {
  double[0] = value;
  // What is no number has a sign too, and C prints it.
  if (Number.isNaN(value)) return words[1]! < 0 ? '-nan' : 'nan';
  return value > 0 ? 'inf' : '-inf';
}

/** Digits enough to tell whether a double lies exactly between two shorter numbers. */
const EXACT_DIGITS = 100;

/**
 * A number's significant digits and exponent of ten, as "d.ddde±x". JavaScript rounds halves up; C rounds a half that is exact to the
 * even digit.
 */
function exponential(value: number, precision: number): string {
  const rounded = value.toExponential(precision - 1);
  const longer = value.toExponential(Math.min(EXACT_DIGITS, precision));
  if (longer[longer.indexOf('e') - 1] !== '5') return rounded;
  const exact = value.toExponential(EXACT_DIGITS);
  const mantissa = exact.slice(0, exact.indexOf('e')).replace('-', '');
  // The point stands behind the first digit.
  if (!/^50*$/.test(mantissa.slice(precision + 1))) return rounded;
  const kept = mantissa.slice(0, precision + 1);
  if ('13579'.includes(kept[kept.length - 1]!)) return rounded;
  return `${value < 0 ? '-' : ''}${kept}${exact.slice(exact.indexOf('e'))}`;
}

/** As "%.<precision>g". @param precision significant digits, 2 to 99 */
export function formatG(value: number, precision: number): string {
  if (!Number.isFinite(value)) return special(value);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const text = exponential(value, precision);
  const e = text.indexOf('e');
  const exponent = Number(text.slice(e + 1));
  const negative = value < 0;
  if (exponent < -4 || exponent >= precision) {
    const size = Math.abs(exponent);
    return `${trimZeros(text.slice(0, e))}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
  }
  const digits = text.slice(negative ? 1 : 0, e).replace('.', '');
  const plain =
    exponent < 0
      ? `0.${'0'.repeat(-exponent - 1)}${digits}`
      : exponent + 1 >= digits.length
        ? digits.padEnd(exponent + 1, '0')
        : `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
  return `${negative ? '-' : ''}${trimZeros(plain)}`;
}

function trimZeros(text: string): string {
  if (!text.includes('.')) return text;
  let end = text.length;
  while (text[end - 1] === '0') end--;
  if (text[end - 1] === '.') end--;
  return text.slice(0, end);
}

/** As "%.17g": what a number becomes that a script gives to a command. */
export function argumentText(value: number): string {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? '-0' : String(value);
  return formatG(value, 17);
}
