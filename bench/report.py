"""What is printed and written: the figures, what everybody reached, the machine."""
import time


def table(head, rows):
    """A Markdown table, laid out to be read as it is."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ['-' * width for width in widths], *rows]
    return '\n'.join('| ' + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths))
                     + ' |' for line in lines)


class Report:
    def __init__(self, judging):
        self.judging = judging  # False: speeds are measured and not judged
        self.figures, self.details, self.problems, self.machine = [], [], [], []

    def add(self, *row):
        self.figures.append(row)
        print(' | '.join(row), flush=True)

    def judge(self, name, required, got, passed, note):
        verdict = ('PASS' if passed else 'FAIL') if self.judging else 'measured'
        self.add(name, required, got, verdict, note)

    def show(self, name, got, note):
        self.add(name, '', got, 'reported', note)

    def skip(self, name, required, why):
        self.add(name, required, '', 'not runnable here', why)

    def wrong(self, what):
        """A result that is not right: worse than slow."""
        self.problems.append(what)
        print('WRONG: ' + what, flush=True)

    def detail(self, measured, series, recall=None):
        """measured: what, by whom, and how fast."""
        self.details.append((*measured, f'{series.spread:.0%}', len(series.seconds),
                             series.repeated, series.crowded,
                             '' if recall is None else f'{recall:.4f}'))

    def failed(self):
        return bool(self.problems) or any(row[3] == 'FAIL' for row in self.figures)

    def text(self):
        parts = [
            '# How fast, next to its peers', '',
            f'`make accept` printed this on {time.strftime("%Y-%m-%d")}; README.md beside says how '
            'to read it.', '',
            table(['figure', 'required', 'got', 'verdict', 'note'], self.figures), '',
            *(f'WRONG RESULT: {problem}\n' for problem in self.problems),
            '## What each reached (medians)', '',
            table(['what', 'by', 'median', 'spread', 'runs', 'repeated', 'crowded',
                   'recall'],
                  self.details), '',
            '## On what', '', table(['what', 'value'], self.machine), '']
        return '\n'.join(parts)
