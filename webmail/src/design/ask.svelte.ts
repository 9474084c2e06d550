// Questions that need an answer before anything happens: `if (await ask({…})) …`. One at a time; Asking.svelte shows it.
export interface Question {
  title: string
  text?: string
  confirm: string
  danger?: boolean
  /** With a field: its name, first value and least length, or `optional`: it may be empty; the answer is the text. */
  field?: { label: string; value: string; type?: string; least?: number; optional?: boolean }
}
interface Open extends Question {
  answer: (value: string | undefined) => void
}
const state = $state<{ open: Open | undefined }>({ open: undefined })

export function question(): Open | undefined {
  return state.open
}

/** Ask for yes or no. */
export async function ask(question: Question): Promise<boolean> {
  return (await askText(question)) !== undefined
}

/** Ask for a text; undefined: cancelled. */
export function askText(question: Question): Promise<string | undefined> {
  state.open?.answer(undefined)
  return new Promise((resolve) => {
    state.open = {
      ...question,
      answer: (value) => {
        state.open = undefined
        resolve(value)
      },
    }
  })
}
