// Light, dark, or as the system has it; and how dense the list is. Both belong to the device, not to the account.
export type Theme = 'auto' | 'light' | 'dark'
export type Density = 'compact' | 'normal' | 'two-line'
const THEME = 'posthouse.theme'
const DENSITY = 'posthouse.density'

const system = matchMedia('(prefers-color-scheme: dark)')
system.addEventListener('change', () => (state.dark = system.matches))
const state = $state<{ theme: Theme; density: Density; dark: boolean }>({
  dark: system.matches,
  theme: chosen(THEME, ['auto', 'light', 'dark'], 'auto'),
  density: chosen(DENSITY, ['compact', 'normal', 'two-line'], 'two-line'),
})

function chosen<T extends string>(key: string, values: readonly T[], otherwise: T): T {
  const kept = localStorage.getItem(key)
  return values.find((value) => value === kept) ?? otherwise
}

export function theme(): Theme {
  return state.theme
}
/** Whether it is dark: chosen, or as the system has it now. */
export function isDark(): boolean {
  return state.theme === 'auto' ? state.dark : state.theme === 'dark'
}
export function density(): Density {
  return state.density
}
export function setTheme(theme: Theme): void {
  state.theme = theme
  localStorage.setItem(THEME, theme)
  applyTheme()
}
export function setDensity(density: Density): void {
  state.density = density
  localStorage.setItem(DENSITY, density)
}
export function applyTheme(): void {
  if (state.theme === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = state.theme
}
