let draft = null;
async function redraft() {}
