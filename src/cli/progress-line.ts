/** A line of a terminal that is written over again and again. */
export interface ProgressLine {
  show(text: string): void;
  /** Takes the line away, before something else is printed or at the end. */
  clear(): void;
}

/** What a progress line writes to. */
interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A progress line on a terminal; where there is none, such as in a script's log, it shows nothing. */
export function createProgressLine(terminal: Terminal): ProgressLine {
  let shown = '';
  function write(text: string): void {
    if (terminal.isTTY !== true || text === shown) return;
    shown = text;
    terminal.write(`\r\u001b[K${text}`);
  }
  return {
    // A line that wraps could not be written over. Some terminals do not know their width, or say 0.
    show: (text) => write(text.slice(0, (terminal.columns || 80) - 1)),
    clear: () => write(''),
  };
}
