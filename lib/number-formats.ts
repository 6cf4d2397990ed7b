// Numbers as people read them: three or four significant digits, decimal units.

const units = ['', ' k', ' M', ' G', ' T'];

function scaled(value: number): [string, string] {
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  const text = power === 0 ? `${value}` : (value / 1000 ** power).toPrecision(3);
  return [text, units[power] ?? ''];
}

/** 13946736 → '13.9 MB'. */
export function bytes(value: number): string {
  const [text, unit] = scaled(value);
  return `${text}${unit === '' ? ' ' : unit}B`;
}

/** 6900000 → '6.90 M'. */
export function count(value: number): string {
  return scaled(value).join('');
}

/** 0.01234 → '1.23 %'. */
export function percent(share: number): string {
  return `${digits(share * 100, 3)} %`;
}

export function digits(value: number, significant = 5): string {
  if (!Number.isFinite(value)) return `${value}`;
  const text = value.toPrecision(significant);
  return text.includes('e') && Math.abs(value) >= 1 ? value.toFixed(0) : text;
}

/** 75.3 → '1 min 15 s'; 1.234 → '1.23 s'. */
export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(2)} s`;
  const whole = Math.round(value);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}
