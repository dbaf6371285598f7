// Copying a text. Sent in front of the modules that use it.

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP, or without the permission, there is only the old way.
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = "position:fixed;top:0;opacity:0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
  return true;
}

