// Light, dark, or as the system has it; a person's choice is kept in this browser.
import { createStore } from './store.ts';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

function kept(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'system';
  } catch {
    return 'system';
  }
}

/** The choice; `looks` grows with each change of how the page looks, the system's included. */
export const theme = createStore<{ chosen: Theme; looks: number }>({ chosen: kept(), looks: 0 });

function apply(): void {
  const { chosen, looks } = theme.get();
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
  theme.set({ looks: looks + 1 });
}

/** Takes the next one of system, light and dark. */
export function nextTheme(): void {
  const chosen = THEMES[(THEMES.indexOf(theme.get().chosen) + 1) % THEMES.length]!;
  theme.set({ chosen });
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // A browser that keeps nothing: the choice lasts as long as the page.
  }
  apply();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
apply();
