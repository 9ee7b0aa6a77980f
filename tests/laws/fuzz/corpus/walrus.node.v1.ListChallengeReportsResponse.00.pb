
y
a report in form only`ˆ­?ÍŠ…âĞAîP™™D?ïsqÚ9Û‹¹¨AEÛP	¬äæàriÆi#®kıEÅ™&RÅÿW?upTğÔO¦iíFœgŸ´A“¼›ÀÄg)˜r]˜’*ojã¬Iwøş
y
a report in form only`ˆ­?ÍŠ…âĞAîP™™D?ïsqÚ9Û‹¹¨AEÛP	¬äæàriÆi#®kıEÅ™&RÅÿW?upTğÔO¦iíFœgŸ´A“¼›ÀÄg)˜r]˜’*ojã¬Iwøş